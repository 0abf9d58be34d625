"""The best F1 among the thresholds that reach a precision floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from cxrbench.errors import UsageError
from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.sweep import Sweep, sweep_grid, sweep_positives
from cxrbench.thresholds.missing import no_threshold

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_HALF = 0.5
_DECIMALS = 10
"""Grid thresholds are rounded to so many decimals, so that the eleventh step from .10 is .65 exactly."""


@dataclass(frozen=True, kw_only=True)
class PrecisionF1:
    """Of the thresholds whose precision reaches a floor, take the one of best F1, for each finding.

    Thresholds are tried upwards and a later one wins only with a strictly better F1, so of equal ones
    the lowest is taken. A finding without any positive has no F1 and no threshold (NaN).

    Source: Enríquez Rodríguez et al., "Computational vision model for multi-label classification…",
    second strategy. The text does not say what happens when no threshold reaches the floor;
    ``infeasible`` does.

    Attributes:
        min_precision: the floor.
        low: first threshold of the grid ``steps``.
        high: last threshold of the grid ``steps``.
        step: distance of two thresholds of the grid ``steps``.
        grid: which thresholds are tried: ``steps`` from ``low`` to ``high``, or ``scores``, every observed
            probability; ``auto`` is ``steps`` on raw probabilities and ``scores`` on calibrated ones, which
            for rare findings lie below any fixed grid.
        infeasible: what to take where no threshold reaches the floor: ``half`` is 0.5, ``best_f1`` the best
            F1 without the floor; ``auto`` is ``half`` on raw probabilities and ``best_f1`` on calibrated
            ones. Either way the operating point is marked not feasible.

    Raises:
        UsageError: ``low`` is above ``high``.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    min_precision: Annotated[float, Ge(0), Le(1)] = 0.30
    low: Annotated[float, Ge(0), Le(1)] = 0.10
    high: Annotated[float, Ge(0), Le(1)] = 0.85
    step: Annotated[float, Gt(0), Le(1)] = 0.05
    grid: Literal["auto", "steps", "scores"] = "auto"
    infeasible: Literal["auto", "half", "best_f1"] = "auto"

    def __post_init__(self) -> None:
        """Check what the options must satisfy together."""
        if self.low > self.high:
            raise UsageError(
                f"low={self.low:g} is above high={self.high:g}; give a low that is not above high."
            )

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        points, _ = self.search(probabilities, labels, calibrated=calibrated)
        return points

    def search(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> tuple[list[OperatingPoint], FloatArray]:
        """The operating points and the F1 found at each, ``[c]``: NaN where 0.5 stands in for it."""
        grid, infeasible = self._resolve(calibrated)
        swept = (
            sweep_positives(probabilities, labels)
            if grid == "scores"
            else self._sweep_steps(probabilities, labels)
        )
        f1 = swept.f1
        # A threshold that finds no positive is never a candidate, even without a floor.
        reaches = (swept.tp > 0) & (swept.precision >= self.min_precision)
        feasible = np.any(reaches, axis=0)
        # The first maximum is the lowest threshold, for thresholds ascend.
        row = np.where(reaches | ~feasible, f1, -1.0).argmax(axis=0)
        column = np.arange(f1.shape[1])
        thresholds, best = swept.thresholds[row, column], f1[row, column]
        unreached = f"no threshold reaches precision {self.min_precision:g}"
        points = []
        for c in column:
            if swept.positives[c] == 0:
                points.append(no_threshold("no positive"))
            elif feasible[c]:
                points.append(OperatingPoint(float(thresholds[c])))
            elif infeasible == "best_f1":
                points.append(
                    OperatingPoint(
                        float(thresholds[c]), feasible=False, reason=f"{unreached}: best F1 without it"
                    )
                )
            else:
                best[c] = np.nan
                points.append(OperatingPoint(_HALF, feasible=False, reason=f"{unreached}: 0.5"))
        return points, best

    def _resolve(self, calibrated: bool) -> tuple[str, str]:
        grid, infeasible = ("scores", "best_f1") if calibrated else ("steps", "half")
        return (
            grid if self.grid == "auto" else self.grid,
            infeasible if self.infeasible == "auto" else self.infeasible,
        )

    def _sweep_steps(self, probabilities: FloatArray, labels: FloatArray) -> Sweep:
        # A hair more than the quotient, lest rounding lose the last step.
        count = int((self.high - self.low) / self.step + 1e-9) + 1
        steps = np.round(self.low + self.step * np.arange(count, dtype=np.float64), _DECIMALS)
        return sweep_grid(probabilities, labels, steps)
