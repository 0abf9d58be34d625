"""Statistics of resamples: every figure for many weightings of the patients at once.

A statistic is prepared once from scores and labels, and called with the weights ``[clusters, b]`` of ``b``
resamples; it gives ``[figures, c, b]`` in the order of its ``names``. With all weights 1 it gives what the
functions of the same name give for the whole set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from scipy import sparse

from cxrbench.statistics import decisions as of_counts
from cxrbench.statistics.calibration import bin_cells
from cxrbench.statistics.undefined import known_cells, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray
    from cxrbench.statistics.resamples import Resamples

    IntArray = NDArray[np.int64]


class Statistic(Protocol):
    """Figures of each class as functions of how often each patient counts."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of its figures."""
        ...

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Figures ``[len(names), c, b]`` for weights ``[clusters, b]``: adding up to ``clusters``."""
        ...


class Ranking:
    """AUC and average precision (:mod:`cxrbench.statistics.ranking`), ties counted half.

    Only scores of positives part the ranking: of a negative it matters between which two of them it lies, or
    with which it ties. So each class is counted once, by patient and distinct score of a positive, and a
    resample is a product of that sparse matrix with the weights, added up along the scores. All sums are of
    whole numbers, hence exact.
    """

    names: ClassVar[tuple[str, ...]] = ("auc", "ap")

    def __init__(self, scores: NDArray[Any], labels: NDArray[Any], resamples: Resamples) -> None:
        """Count ``scores`` ``[n, c]`` with ``labels`` ``[n, c]`` (1, 0 or NaN)."""
        # As many images as any resample can have, doubled, must be a whole number that the type can tell.
        most = 2 * resamples.clusters * int(np.bincount(resamples.rows).max(initial=0))
        self._dtype = np.float32 if most < 2**24 else np.float64
        known = known_cells(scores, labels)
        self._classes = [
            _Steps.count(
                scores[chosen, column],
                labels[chosen, column] == 1,
                resamples.rows[chosen],
                resamples.clusters,
                self._dtype,
            )
            for column, chosen in enumerate(known.T)
        ]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """AUC and average precision ``[2, c, b]``."""
        figures = np.empty((2, len(self._classes), weights.shape[1]))
        drawn: NDArray[Any] = weights.astype(self._dtype)
        for column, steps in enumerate(self._classes):
            positive, fp = steps.positives @ drawn, _running_sum(steps.negatives @ drawn)
            positives = positive.sum(axis=0, dtype=np.float64)
            negatives = (steps.all_negatives @ drawn).astype(np.float64)
            lost = 2 * np.einsum("kb,kb->b", positive, fp, dtype=np.float64)
            if steps.tied.nnz:
                lost -= np.einsum("kb,kb->b", positive, steps.tied @ drawn, dtype=np.float64)
            pairs = 2 * positives * negatives
            figures[0, column] = ratio(pairs - lost, pairs)
            tp = _running_sum(positive.copy())
            called = np.maximum(np.add(fp, tp, out=fp), 1, out=fp)
            precision = np.divide(tp, called, dtype=np.float64)
            figures[1, column] = ratio(np.einsum("kb,kb->b", positive, precision), positives)
        return figures


@dataclass(frozen=True, slots=True)
class _Steps:
    """One class along its distinct scores of positives, descending, by patient.

    Rows at the end are empty: ``m`` is a multiple of what :func:`_running_sum` adds up side by side.

    Attributes:
        positives: sparse ``[m, clusters]``, positives with each score.
        negatives: sparse ``[m, clusters]``, negatives with each score, or between it and the one before.
        tied: sparse ``[m, clusters]``, negatives with each score.
        all_negatives: ``[clusters]``, also those below all positives.
    """

    positives: sparse.csr_array
    negatives: sparse.csr_array
    tied: sparse.csr_array
    all_negatives: NDArray[Any]

    @classmethod
    def count(
        cls, scores: NDArray[Any], positive: NDArray[np.bool_], rows: IntArray, clusters: int, dtype: type
    ) -> _Steps:
        """Of scores ``[n]``, ``positive`` ``[n]``, and each image's patient ``[n]``."""
        cuts, places = np.unique(scores[positive], return_inverse=True)
        block = max(math.isqrt(len(cuts)), 1)
        shape = (-(-len(cuts) // block) * block, clusters)
        negatives, patients = scores[~positive], rows[~positive]
        below = np.searchsorted(cuts, negatives, "right") - 1  # the highest cut that is not above
        inside = below >= 0
        below, whose = below[inside], patients[inside]
        tied = cuts[below] == negatives[inside]
        last = len(cuts) - 1
        return cls(
            _counts(last - places, rows[positive], shape, dtype),
            _counts(last - below, whose, shape, dtype),
            _counts(last - below[tied], whose[tied], shape, dtype),
            np.bincount(patients, minlength=clusters).astype(dtype),
        )


class Calibration:
    """Brier score and expected calibration error (:mod:`cxrbench.statistics.calibration`)."""

    names: ClassVar[tuple[str, ...]] = ("brier", "ece")

    def __init__(
        self, probabilities: NDArray[Any], labels: NDArray[Any], resamples: Resamples, bins: int = 15
    ) -> None:
        """Add up the gaps of ``probabilities`` ``[n, c]`` to ``labels`` ``[n, c]`` (1, 0 or NaN)."""
        known = known_cells(probabilities, labels)
        classes, clusters = known.shape[1], resamples.clusters
        rows, columns = resamples.rows[np.nonzero(known)[0]], np.nonzero(known)[1]
        gaps = (probabilities[known] - labels[known]).astype(np.float64)
        self._known = _totals(columns, rows, (classes, clusters))
        self._squares = _totals(columns, rows, (classes, clusters), gaps**2)
        # Most bins of a rare finding hold no image.
        cells = bin_cells(probabilities, known, bins)
        filled = np.bincount(cells, minlength=classes * bins) > 0
        self._class_of = np.repeat(np.eye(classes), bins, axis=1)[:, filled]
        self._gaps = _totals((filled.cumsum() - 1)[cells], rows, (int(filled.sum()), clusters), gaps)

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Brier score and expected calibration error ``[2, c, b]``."""
        known = self._known @ weights
        gaps = self._class_of @ np.abs(self._gaps @ weights)
        return np.stack([ratio(self._squares @ weights, known), ratio(gaps, known)])


class Decisions:
    """Figures of decisions (:mod:`cxrbench.statistics.decisions`), whose thresholds are held fixed."""

    names: ClassVar[tuple[str, ...]] = (
        "precision",
        "recall",
        "specificity",
        "f1",
        "accuracy",
        "balanced_accuracy",
        "mcc",
    )

    def __init__(self, decisions: NDArray[Any], labels: NDArray[Any], resamples: Resamples) -> None:
        """Count ``decisions`` ``[n, c]`` (1, 0 or NaN, undecided) against ``labels`` ``[n, c]``."""
        called, spared = decisions == 1, decisions == 0
        positive, negative = labels == 1, labels == 0
        cells = (called & positive, called & negative, spared & negative, spared & positive)
        shape = (labels.shape[1], resamples.clusters)
        self._counts = []
        for cell in cells:
            rows, columns = np.nonzero(cell)
            self._counts.append(_totals(columns, resamples.rows[rows], shape))

    def confusion(self, weights: FloatArray) -> of_counts.Confusion:
        """The confusion matrices of each class and resample, ``[c, b]``."""
        return of_counts.Confusion(*((counts @ weights).astype(np.int64) for counts in self._counts))

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Figures ``[7, c, b]``."""
        counts = self.confusion(weights)
        return np.stack([getattr(of_counts, name)(counts) for name in self.names])


class Pooled:
    """Figures of the decisions of all classes together, as if they were one (micro averages).

    Thresholds are held fixed, as in :class:`Decisions`.
    """

    names: ClassVar[tuple[str, ...]] = ("micro_precision", "micro_recall", "micro_f1", "hamming_loss")

    def __init__(self, decisions: NDArray[Any], labels: NDArray[Any], resamples: Resamples) -> None:
        """Count ``decisions`` ``[n, c]`` (1, 0 or NaN, undecided) against ``labels`` ``[n, c]``."""
        called, spared = decisions == 1, decisions == 0
        positive, negative = labels == 1, labels == 0
        cells = (called & positive, called & negative, spared & negative, spared & positive)
        self._counts = [
            np.bincount(resamples.rows, cell.sum(axis=1), resamples.clusters)[None] for cell in cells
        ]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Figures ``[4, 1, b]``."""
        counts = of_counts.Confusion(*((each @ weights).astype(np.int64) for each in self._counts))
        return np.stack(
            [
                of_counts.precision(counts),
                of_counts.recall(counts),
                of_counts.f1(counts),
                1 - of_counts.accuracy(counts),
            ]
        )


class Means:
    """Figures that are the mean over images of something, such as whether all classes are decided right."""

    def __init__(self, values: Mapping[str, FloatArray], resamples: Resamples) -> None:
        """``values`` are ``[n]`` by the figure's name; NaN where an image does not count."""
        self.names = tuple(values)
        defined = [~np.isnan(each) for each in values.values()]
        zeroed = [np.nan_to_num(each) for each in values.values()]
        rows, clusters = resamples.rows, resamples.clusters
        self._counts = np.array([np.bincount(rows, each, clusters) for each in defined])
        self._sums = np.array([np.bincount(rows, each, clusters) for each in zeroed])

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Means ``[len(names), 1, b]``."""
        return ratio(self._sums @ weights, self._counts @ weights)[:, None]


def _running_sum(values: NDArray[Any]) -> NDArray[Any]:
    """Cumulative sum of whole numbers ``[m, b]`` down the rows, in their place.

    In blocks side by side, then of the blocks: several times as fast as ``cumsum`` for such shapes.
    ``m`` is a multiple of a block's length, about its root.
    """
    rows, width = values.shape
    length = max(math.isqrt(rows), 1)
    while rows % length:
        length -= 1
    blocks = values.reshape(-1, length, width)
    for row in range(1, length):
        blocks[:, row] += blocks[:, row - 1]
    blocks[1:] += blocks[:-1, -1].cumsum(axis=0)[:, None]
    return values


def _totals(
    rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int], values: FloatArray | None = None
) -> FloatArray:
    """What falls on each place of a matrix with few rows, added up (counted where there are no values)."""
    totals = np.bincount(rows * shape[1] + columns, values, shape[0] * shape[1])
    return totals.reshape(shape).astype(np.float64)


def _counts(
    rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int], dtype: type
) -> sparse.csr_array:
    """How many fall on each place of a sparse matrix; those on one place are added up where it is multiplied.

    Made here rather than by way of ``coo_array``, which would sort each row's places for nothing.
    """
    # NumPy sorts 16-bit integers in linear time.
    order = np.argsort(rows.astype(np.uint16) if shape[0] <= 2**16 else rows, kind="stable")
    ends = np.cumsum(np.bincount(rows, minlength=shape[0]))
    ones: NDArray[Any] = np.ones(len(rows), dtype)
    return sparse.csr_array((ones, columns[order], np.concatenate([[0], ends])), shape=shape)
