"""Threshold: the operating point of each finding, fitted on tune, and how far other patients move it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from cxrbench.files import read_json, write_json
from cxrbench.interfaces import OperatingPoint, ThresholdStrategy
from cxrbench.roles import Role
from cxrbench.stages.calibrate import enough_of_both
from cxrbench.statistics.operating import match_prevalence
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.statistics.threshold_intervals import threshold_replicates
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "2"
"""Changes when the same probabilities and labels give other thresholds."""

REPLICATES = 100
"""Few, since each is a fit of the strategy."""


@dataclass(frozen=True)
class Point:
    """An operating point as it is stored: with how far its threshold moves.

    Attributes:
        threshold: as :class:`~cxrbench.interfaces.OperatingPoint` has it, like the next two.
        feasible: likewise.
        reason: likewise.
        low: lower end of the threshold's 95% interval over resampled patients; NaN where there is none.
        high: upper end.
        feasible_share: the share of resamples on which the point is feasible; NaN where there are none.
    """

    threshold: float
    feasible: bool = True
    reason: str = ""
    low: float = float("nan")
    high: float = float("nan")
    feasible_share: float = float("nan")


def run(
    folder: Path,
    strategy: ThresholdStrategy,
    task: Task,
    probabilities: FloatArray,
    labels: FloatArray,
    patients: pd.Series[str],
    min_positives: int,
    *,
    role: Role,
    calibrated: bool,
) -> None:
    """Write ``thresholds.json``: for each class its threshold, its interval, whether it is feasible, why not.

    Args:
        folder: where to.
        strategy: what fits the thresholds.
        task: a task that calls the most probable class has no thresholds, hence no intervals.
        probabilities: ``[n, c]`` of the role.
        labels: ``[n, c]``.
        patients: ``[n]``, who are resampled.
        min_positives: with fewer positives or negatives a class gets the threshold that matches its
            prevalence; 0 leaves every class to the strategy.
        role: what is fitted on.
        calibrated: whether the probabilities went through a calibrator.
    """
    fitted: ThresholdStrategy = strategy
    if task.kind == "multilabel" and min_positives:
        scarce = ~enough_of_both(labels, min_positives)
        fitted = _WithFew(strategy, tuple(np.flatnonzero(scarce).tolist()), min_positives, role)
    points = fitted.fit(probabilities, labels, calibrated=calibrated)
    low = high = share = np.full(len(points), np.nan)
    if task.kind == "multilabel":
        # Named by the role alone, so that all strategies see the same resamples of its patients.
        found = threshold_replicates(
            fitted,
            probabilities,
            labels,
            patients.to_numpy(),
            calibrated=calibrated,
            seed=role,
            replicates=REPLICATES,
        )
        intervals, share = found.intervals(), found.feasible
        low, high = (np.array([getattr(each, end) for each in intervals]) for end in ("low", "high"))
    write_json(
        folder / "thresholds.json",
        {
            name: {
                "threshold": point.threshold,
                "low": low[column],
                "high": high[column],
                "feasible": point.feasible,
                "feasible_share": share[column],
                "reason": point.reason,
            }
            for column, (name, point) in enumerate(zip(task.classes, points, strict=True))
        },
    )


@dataclass(frozen=True)
class _WithFew:
    """A strategy in which some classes, with too few labels for it, get a threshold by their prevalence.

    Which ones does not change from resample to resample.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})
    strategy: ThresholdStrategy
    few: tuple[int, ...]
    min_positives: int
    role: Role

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One point for each class."""
        points = list(self.strategy.fit(probabilities, labels, calibrated=calibrated))
        for column in self.few:
            points[column] = prevalence_matching(
                probabilities[:, column], labels[:, column], self.min_positives, self.role
            )
        return points


def prevalence_matching(
    probabilities: FloatArray, labels: FloatArray, min_positives: int, role: Role
) -> OperatingPoint:
    """The threshold at which as many images are called positive as are, where labels are too few for more.

    Without any positive (or negative) the threshold is undefined: NaN.
    """
    positives, negatives = int((labels == 1).sum()), int((labels == 0).sum())
    scarce, count = ("positives", positives) if positives <= negatives else ("negatives", negatives)
    few = f"{scarce} on {role}: {count}, fewer than {min_positives}"
    if positives == 0 or negatives == 0:
        return OperatingPoint(float("nan"), False, f"{few}; no threshold")
    (threshold,) = match_prevalence(sweep_scores(probabilities[:, None], labels[:, None]))
    return OperatingPoint(float(threshold), False, f"{few}; matches the prevalence")


def read_points(folder: Path) -> dict[str, Point]:
    """What :func:`run` left in ``thresholds.json``, by class; what an older one did not say is NaN."""
    return {
        name: Point(
            threshold=_number(told["threshold"]),
            feasible=told["feasible"],
            reason=told["reason"],
            low=_number(told.get("low")),
            high=_number(told.get("high")),
            feasible_share=_number(told.get("feasible_share")),
        )
        for name, told in read_json(folder / "thresholds.json").items()
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
