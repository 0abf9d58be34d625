"""The threshold of least cost, or of most net benefit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.operating import least_cost
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.thresholds.missing import missing, no_threshold

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_HIGHEST = 1.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Minimise ``fn × missed positives + fp × false calls`` over all observed probabilities of each finding.

    The same threshold maximises net benefit at the threshold probability ``t = fp / (fp + fn)`` (Vickers and
    Elkin, "Decision Curve Analysis", 2006): net benefit is ``prevalence - cost / (n × fn)``. With exact
    probabilities the optimum is ``t`` itself (Elkan, "The Foundations of Cost-Sensitive Learning", 2001),
    which is what ``fixed:threshold=t`` gives; this strategy is right for uncalibrated ones too, at the price
    of following tune's noise and prevalence.

    Of equal costs the lowest threshold wins. Where no threshold costs less than calling nothing, the
    threshold is 1 and marked not feasible. A finding that lacks positives or negatives has none (NaN).

    Attributes:
        fn: cost of a missed positive.
        fp: cost of a false call.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    fn: Annotated[float, Gt(0)] = 10.0
    fp: Annotated[float, Gt(0)] = 1.0

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        swept = sweep_scores(probabilities, labels)
        rows, costs = least_cost(swept, self.fn, self.fp)
        points = []
        for column, row in enumerate(rows):
            if lacking := missing(swept, column):
                points.append(no_threshold(lacking))
            elif costs[column] >= self.fn * swept.positives[column]:
                points.append(
                    OperatingPoint(
                        _HIGHEST, feasible=False, reason="no threshold costs less than calling nothing: 1"
                    )
                )
            else:
                points.append(OperatingPoint(float(swept.thresholds[row, column])))
        return points
