"""Checks of threshold strategies (:class:`cxrbench.interfaces.ThresholdStrategy`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.interfaces import OperatingPoint
from cxrbench.testing.check import Check, Subject, require, unchanged
from cxrbench.testing.components import declares_its_tasks

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, ThresholdStrategy

_ROWS, _CLASSES = 200, 4
_BOTH = (False, True)


def gives_a_point_for_each_column(subject: Subject) -> None:
    """One OperatingPoint a column, its threshold in 0..1 or NaN, on raw and on calibrated probabilities."""
    _well_formed(subject, *_example(), "an ordinary example")


def gives_its_reasons(subject: Subject) -> None:
    """A point that is not feasible, or whose threshold is NaN, says why in one line.

    Where exactly one class is right, no threshold is needed.
    """
    thresholds = "multilabel" in subject.make().tasks
    scores, labels = _example()
    for wanted in (labels, np.zeros_like(labels), np.ones_like(labels), np.full_like(labels, np.nan)):
        for calibrated in _BOTH:
            for point in _fit(subject, scores, wanted, calibrated):
                needed = not point.feasible or (thresholds and math.isnan(point.threshold))
                require(point.reason or not needed, f"{point} has no reason.")
                require("\n" not in point.reason, f"The reason of {point} has several lines.")


def takes_findings_of_one_class(subject: Subject) -> None:
    """A finding without positives, without negatives or without any known label has a point all the same."""
    scores, labels = _example()
    labels[:, 0], labels[:, 1], labels[:, 2] = 1.0, 0.0, np.nan
    _well_formed(subject, scores, labels, "columns all positive, all negative and unknown")
    _well_formed(subject, scores[:1], labels[:1], "one row")


def takes_ties(subject: Subject) -> None:
    """Scores may repeat, be all the same, or be 0 or 1."""
    scores, labels = _example()
    ties = {"scores in tenths": scores.round(1), "scores of 0 and 1": scores.round()}
    constants = {f"all scores {value}": np.full_like(scores, value) for value in (0.0, 0.3, 1.0)}
    for case, hard in (ties | constants).items():
        _well_formed(subject, hard, labels, case)


def leaves_out_unknown_labels(subject: Subject) -> None:
    """An unknown label (NaN) is no negative: images that only repeat others' scores do not move a point."""
    scores, labels = _example()
    repeated = np.vstack([labels, np.full_like(labels, np.nan)])
    for calibrated in _BOTH:
        points = _fit(subject, scores, labels, calibrated)
        more = _fit(subject, np.vstack([scores, scores]), repeated, calibrated)
        # A strategy may use the scores' own distribution, whose quantiles shift by a gap between scores.
        _near(points, more, 2 / _ROWS, "Unlabelled repetitions of the images move")


def follows_its_column(subject: Subject) -> None:
    """A point belongs to its finding: in another order of the columns, the points are in that order."""
    scores, labels = _example()
    order = np.array([2, 0, 3, 1])
    for calibrated in _BOTH:
        points = _fit(subject, scores, labels, calibrated)
        moved = _fit(subject, scores[:, order], labels[:, order], calibrated)
        _near([points[c] for c in order], moved, 1e-9, "Another order of the columns moves")


def ignores_the_order_of_images(subject: Subject) -> None:
    """The order of the rows does not matter."""
    scores, labels = _example()
    for tied in (scores, scores.round(1)):
        for calibrated in _BOTH:
            points = _fit(subject, tied, labels, calibrated)
            turned = _fit(subject, tied[::-1], labels[::-1], calibrated)
            _near(points, turned, 1e-9, "Another order of the rows moves")


def repeats_itself(subject: Subject) -> None:
    """The same probabilities and labels give the same points."""
    scores, labels = _example()
    for calibrated in _BOTH:
        first, second = (_fit(subject, scores, labels, calibrated) for _ in range(2))
        _near(first, second, 0.0, "A second fit moves")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither probabilities nor labels are changed in place."""
    scores, labels = _example()
    labels[3] = np.nan
    for calibrated in _BOTH:
        with unchanged(probabilities=scores, labels=labels):
            _fit(subject, scores, labels, calibrated)


CHECKS = tuple(
    map(
        Check,
        (
            declares_its_tasks,
            gives_a_point_for_each_column,
            gives_its_reasons,
            takes_findings_of_one_class,
            takes_ties,
            leaves_out_unknown_labels,
            follows_its_column,
            ignores_the_order_of_images,
            repeats_itself,
            leaves_its_arguments_alone,
        ),
    )
)


def _example() -> tuple[FloatArray, FloatArray]:
    """Scores ``[200, 4]`` evenly spaced in 0..1, and labels that the columns tell better and better."""
    rng = np.random.default_rng(0)
    evenly = (np.arange(_ROWS) + 0.5) / _ROWS
    scores = np.column_stack([rng.permutation(evenly) for _ in range(_CLASSES)])
    noise = rng.standard_normal(scores.shape) * np.array([0.6, 0.4, 0.2, 0.1])
    return scores, (scores + noise > np.array([0.5, 0.6, 0.7, 0.8])).astype(np.float64)


def _fit(
    subject: Subject, scores: FloatArray, labels: FloatArray, calibrated: bool
) -> Sequence[OperatingPoint]:
    strategy: ThresholdStrategy = subject.make()
    return strategy.fit(scores, labels, calibrated=calibrated)


def _well_formed(subject: Subject, scores: FloatArray, labels: FloatArray, case: str) -> None:
    for calibrated in _BOTH:
        points = _fit(subject, scores, labels, calibrated)
        require(len(points) == scores.shape[1], f"With {case}: {len(points)} for {scores.shape[1]} columns.")
        for point in points:
            require(isinstance(point, OperatingPoint), f"With {case}: {point!r} is no OperatingPoint.")
            inside = math.isnan(point.threshold) or 0 <= point.threshold <= 1
            require(inside, f"With {case} the threshold is {point.threshold:g}.")


def _near(points: Sequence[OperatingPoint], others: Sequence[OperatingPoint], by: float, what: str) -> None:
    for one, other in zip(points, others, strict=True):
        close = np.isclose(one.threshold, other.threshold, rtol=0, atol=by, equal_nan=True)
        require(
            close and one.feasible == other.feasible,
            f"{what} the point ({one.threshold:g}, feasible={one.feasible}) to ({other.threshold:g}, "
            f"feasible={other.feasible}).",
        )
