"""Threshold: the operating point of each finding, fitted on tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.files import read_json, write_json
from cxrbench.interfaces import OperatingPoint, ThresholdStrategy
from cxrbench.roles import Role
from cxrbench.stages.calibrate import enough_of_both
from cxrbench.statistics.operating import match_prevalence
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "1"
"""Changes when the same probabilities and labels give other thresholds."""


def run(
    folder: Path,
    strategy: ThresholdStrategy,
    task: Task,
    probabilities: FloatArray,
    labels: FloatArray,
    min_positives: int,
    *,
    role: Role,
    calibrated: bool,
) -> None:
    """Write ``thresholds.json``: for each class its threshold, whether it is feasible, and why not."""
    points = list(strategy.fit(probabilities, labels, calibrated=calibrated))
    # A task that calls the most probable class has no thresholds to fall back to.
    if min_positives and task.kind == "multilabel":
        for column in np.flatnonzero(~enough_of_both(labels, min_positives)):
            points[column] = prevalence_matching(
                probabilities[:, column], labels[:, column], min_positives, role
            )
    write_json(
        folder / "thresholds.json",
        {
            name: {"threshold": point.threshold, "feasible": point.feasible, "reason": point.reason}
            for name, point in zip(task.classes, points, strict=True)
        },
    )


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


def read_points(folder: Path) -> dict[str, OperatingPoint]:
    """What :func:`run` left in ``thresholds.json``, by class."""
    return {
        name: OperatingPoint(
            float("nan") if p["threshold"] is None else p["threshold"], p["feasible"], p["reason"]
        )
        for name, p in read_json(folder / "thresholds.json").items()
    }
