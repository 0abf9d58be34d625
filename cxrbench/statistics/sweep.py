"""True and false positives at every threshold: what curves and operating points are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.undefined import known_cells, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sweep:
    """Counts of calling a class positive at ``score >= threshold``, one row a threshold.

    Attributes:
        thresholds: float64 ``[k, c]``, ascending in each column; inf where nothing is called.
        tp: int64 ``[k, c]``, positives called.
        fp: int64 ``[k, c]``, negatives called.
        positives: int64 ``[c]``, all positives.
        negatives: int64 ``[c]``, all negatives.
    """

    thresholds: FloatArray
    tp: IntArray
    fp: IntArray
    positives: IntArray
    negatives: IntArray

    @property
    def precision(self) -> FloatArray:
        """``tp / (tp + fp)`` ``[k, c]``, NaN where nothing is called."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def f1(self) -> FloatArray:
        """``2 tp / (2 tp + fp + fn)`` ``[k, c]``, NaN in a column without positives.

        Equal fractions give equal floats, so ties are exact.
        """
        return ratio(2 * self.tp, np.where(self.positives > 0, self.tp + self.fp + self.positives, 0))


def sweep_scores(scores: NDArray[Any], labels: NDArray[Any]) -> Sweep:
    """Sweep the observed scores of each column.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        ``n + 1`` rows: one for each score (equal scores have equal rows), then, for each unknown label
        and once more at the end, a row in which nothing is called.
    """
    # One contiguous row a class, of which unknown cells are left to the end.
    known, values, positive = (
        np.ascontiguousarray(each.T) for each in (known_cells(scores, labels), scores, labels == 1)
    )
    classes, size = known.shape[0], known.shape[1] + 1
    thresholds = np.full((classes, size), np.inf)
    tp, fp = np.zeros((2, classes, size), np.int64)
    positives, negatives = np.zeros((2, classes), np.int64)
    for column, kept in enumerate(known):
        ascending, above = thresholds[column, : kept.sum()], values[column, kept & positive[column]]
        ascending[:] = values[column, kept]
        # Values are sorted several times as fast as their order is found, so positives are sorted apart.
        ascending.sort()
        above.sort()
        first = _first_of_ties(ascending)
        found = np.bincount(np.searchsorted(ascending, above), minlength=len(ascending))
        # A score calls itself, its ties and all above it: everything from the first of its ties on.
        called = len(above) - (found.cumsum() - found)[first]
        tp[column, : len(first)] = called
        fp[column, : len(first)] = len(first) - first - called
        positives[column], negatives[column] = len(above), len(first) - len(above)
    return Sweep(thresholds.T, tp.T, fp.T, positives, negatives)


def sweep_positives(scores: NDArray[Any], labels: NDArray[Any]) -> Sweep:
    """Sweep the scores of each column's positives, and its lowest score of all.

    Where what is sought gets worse with each negative called, as F1, precision and Youden's J do, it is best
    at one of these, which take a fraction of the time of :func:`sweep_scores`.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        As many rows as the column of most positives needs; in rows that others do not, nothing is called.
    """
    known, values, positive = (
        np.ascontiguousarray(each.T) for each in (known_cells(scores, labels), scores, labels == 1)
    )
    sides = [
        (np.sort(each[mine & there]), np.sort(each[mine & ~there]))
        for mine, each, there in zip(known, values, positive, strict=True)
    ]
    positives, negatives = (np.array([len(side[k]) for side in sides], np.int64) for k in (0, 1))
    size = int(positives.max(initial=0)) + 1
    thresholds = np.full((len(sides), size), np.inf)
    tp, fp = np.zeros((2, len(sides), size), np.int64)
    for column, (above, under) in enumerate(sides):
        lowest = np.concatenate([above[:1], under[:1]])
        cuts = np.concatenate([lowest.min(keepdims=True), above]) if lowest.size else lowest
        thresholds[column, : len(cuts)] = cuts
        tp[column, : len(cuts)] = len(above) - np.searchsorted(above, cuts)
        fp[column, : len(cuts)] = len(under) - np.searchsorted(under, cuts)
    return Sweep(thresholds.T, tp.T, fp.T, positives, negatives)


def _first_of_ties(ascending: FloatArray) -> IntArray:
    """The place of the first equal value, for each of ``[n]`` ascending values."""
    first = np.arange(len(ascending))
    tied = ascending[1:] == ascending[:-1]
    if tied.any():
        first[1:][tied] = 0
        first = np.maximum.accumulate(first)
    return first


def sweep_grid(scores: NDArray[Any], labels: NDArray[Any], grid: NDArray[Any]) -> Sweep:
    """Sweep an ascending grid ``[k]`` that all columns share.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        grid: thresholds ``[k]``, ascending.

    Raises:
        ValueError: the grid is not ascending.
    """
    if (np.diff(grid) < 0).any():
        raise ValueError("a grid of thresholds must be ascending")
    known = known_cells(scores, labels)
    classes, size = known.shape[1], len(grid)
    # Each score is sorted into the grid once: it is called at the first ``reached`` thresholds.
    reached = np.searchsorted(grid, scores[known], side="right")
    cell = np.nonzero(known)[1] * (size + 1) + reached
    positive = labels[known] == 1

    def called(cells: NDArray[Any]) -> IntArray:
        histogram = np.bincount(cells, minlength=classes * (size + 1)).reshape(classes, size + 1)
        return histogram[:, ::-1].cumsum(axis=1)[:, ::-1].T

    # Row 0 counts the scores that reach no threshold too: all of them.
    tp, fp = called(cell[positive]), called(cell[~positive])
    thresholds = np.broadcast_to(np.asarray(grid, np.float64)[:, None], (size, classes))
    return Sweep(thresholds, tp[1:], fp[1:], tp[0], fp[0])
