"""How good weighted averages of several models' scores are: many at once, thresholds refitted in each.

A class's scores are sorted as 32-bit integers: the bits of a float that is not negative, whose last one says
whether the image is a negative. So one sort carries scores and labels, and where scores tie, negatives come
before positives from above: the position behind the last positive of a tie counts all of it, and those within
count too little. Figures are therefore exact for scores in single precision without their last bit, which
tells scores apart that differ by 2⁻²² of their size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from threadpoolctl import ThreadpoolController

from cxrbench.errors import UsageError
from cxrbench.processors import processors
from cxrbench.statistics.ranking import auc, average_precision
from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray
    from cxrbench.task import TaskKind

    Float32 = NDArray[np.float32]

FitnessName = Literal["macro_f1", "macro_auc", "macro_ap", "accuracy"]
FITNESSES: tuple[FitnessName, ...] = get_args(FitnessName)

_AT_ONCE = 64
"""Averages whose scores are held at once: a population of usual size."""

_MAGNITUDE = 0x7FFFFFFE
"""The bits of a score but for its last one, and its sign: rounding may leave it a little below 0."""


class WeightedFitness:
    """The fitness of weighted averages (:class:`cxrbench.interfaces.Fitness`).

    ``macro_f1``: each class at the threshold of its best F1, fitted anew for every average; where one class
    is right, of the most probable class. ``macro_auc``, ``macro_ap``: of each class. ``accuracy``: the share
    of images whose most probable class is right or, where each class is a question of its own, of each
    class's calls that are right at the threshold of its best F1.
    """

    def __init__(
        self,
        name: FitnessName,
        kind: TaskKind,
        scores: FloatArray,
        labels: FloatArray,
        threads: int | None = None,
    ) -> None:
        """Prepare the scores.

        Args:
            name: of the figure.
            kind: of the task.
            scores: ``[m, n, c]`` of the members.
            labels: ``[n, c]``; 1, 0 or NaN (unknown), whose images are left out of that class.
            threads: in which classes are worked on; by default as many as this process may use processors.
        """
        self.name: FitnessName = name
        self._threads = threads or processors()
        self._pools = ThreadpoolController()
        self._whole_images: _MostProbable | None = None
        if kind == "singlelabel" and name in ("macro_f1", "accuracy"):
            self._whole_images = _MostProbable(scores, labels)
        self._classes = [_Class(scores[:, :, k], labels[:, k]) for k in range(labels.shape[1])]
        self._figure: Callable[[_Class, Float32], FloatArray] = {
            "macro_f1": _Class.f1,
            "macro_auc": _Class.auc,
            "macro_ap": _Class.ap,
            "accuracy": _Class.accuracy,
        }[name]

    def whole(self, weights: FloatArray) -> FloatArray:
        """The fitness ``[p]`` of averages with these weights ``[p, m]`` or ``[p, m, c]``."""
        if self._whole_images is not None:
            f1, accuracy = self._whole_images.figures(weights)
            return accuracy if self.name == "accuracy" else _over_classes(f1)
        return _over_classes(self.each(weights))

    def each(self, weights: FloatArray) -> FloatArray:
        """That of each class ``[p, c]``.

        Raises:
            UsageError: accuracy where one class is right, which is no mean over classes.
        """
        if self._whole_images is not None:
            if self.name == "accuracy":
                raise UsageError(
                    "The accuracy of a single-label task is no mean over classes; give another --fitness or "
                    "another --search."
                )
            return self._whole_images.figures(weights)[0]
        single: Float32 = weights.astype(np.float32)

        def of(column: int) -> FloatArray:
            own = single if single.ndim == 2 else np.ascontiguousarray(single[:, :, column])
            parts = [self._figure(self._classes[column], part) for part in _parts(own)]
            return np.concatenate(parts)

        columns = range(len(self._classes))
        # BLAS is to add no threads of its own: for products this small, they mostly wait for one another.
        with self._pools.limit(limits=1, user_api="blas"):
            if self._threads == 1:
                return np.stack([of(column) for column in columns], axis=1)
            # Each class is one thread's: what is found does not depend on how many there are.
            with ThreadPoolExecutor(self._threads) as threads:
                return np.stack(list(threads.map(of, columns)), axis=1)


class _Class:
    """One class: the members' scores where its label is known, and its figures."""

    def __init__(self, scores: FloatArray, labels: FloatArray) -> None:
        known = ~np.isnan(labels)
        lowest = scores[:, known].min() if known.any() else 0.0
        # All moved alike, so that the order stays and none is below 0: weights sum to 1.
        self._scores = np.ascontiguousarray(scores[:, known] - lowest, dtype=np.float32)
        self._labels = labels[known]
        self._negative = (self._labels == 0).astype(np.int32)
        self._count = len(self._labels)
        self._positives = self._count - int(self._negative.sum())
        self._looked_at = self._count
        # Kept, since giving megabytes back to the system and asking anew takes longer than filling them.
        self._kept = np.empty((_AT_ONCE, self._count), np.float32)

    @property
    def _is_defined(self) -> bool:
        return 0 < self._positives < self._count

    def f1(self, weights: Float32) -> FloatArray:
        """The best F1 over all thresholds ``[p]``."""
        return self._best(weights)[0]

    def accuracy(self, weights: Float32) -> FloatArray:
        """The share of right calls ``[p]`` at the threshold of the best F1."""
        f1, called = self._best(weights)
        hits = f1 * (called + self._positives) / 2
        return (self._count - self._positives - called + 2 * hits) / self._count

    def auc(self, weights: Float32) -> FloatArray:
        """AUC ``[p]``."""
        if not self._is_defined:
            return np.full(len(weights), np.nan)
        keys = np.sort(self._keys(weights), axis=1)
        below, positive = self._below(keys)
        area = (below * positive).sum(axis=1, dtype=np.float64)
        found = area / (self._positives * float(self._count - self._positives))
        return self._where_tied(keys, weights, found, auc)

    def ap(self, weights: Float32) -> FloatArray:
        """Average precision ``[p]``."""
        if not self._is_defined:
            return np.full(len(weights), np.nan)
        keys = np.sort(self._keys(weights), axis=1)
        below, positive = self._below(keys)
        negatives = self._count - self._positives - below
        called = np.arange(self._count, 0, -1)
        precision = (called - negatives) / called
        found = (precision * positive).sum(axis=1, dtype=np.float64) / self._positives
        return self._where_tied(keys, weights, found, average_precision)

    def _combined(self, weights: Float32) -> Float32:
        combined: Float32 = np.matmul(weights, self._scores, out=self._kept[: len(weights)])
        return combined

    def _keys(self, weights: Float32) -> NDArray[np.int32]:
        """Scores and labels as integers ``[p, n]`` in the order of the scores."""
        keys = self._combined(weights).view(np.int32)
        np.bitwise_and(keys, _MAGNITUDE, out=keys)
        np.bitwise_or(keys, self._negative, out=keys)
        return keys

    def _below(self, keys: NDArray[np.int32]) -> tuple[Float32, Float32]:
        """How many negatives score less than each image ``[p, n]``, ascending, and which are positive."""
        negative = np.bitwise_and(keys, 1).astype(np.float32)
        return np.cumsum(negative, axis=1) - negative, 1 - negative

    def _where_tied(
        self,
        keys: NDArray[np.int32],
        weights: Float32,
        found: FloatArray,
        exact: Callable[[NDArray[Any], NDArray[Any]], FloatArray],
    ) -> FloatArray:
        """What was found, but worked out anew where a positive's score is another image's too."""
        same = (keys[:, 1:] ^ keys[:, :-1]) <= 1
        tied = np.flatnonzero((same & ((keys[:, :-1] & 1) == 0)).any(axis=1))
        if len(tied):
            labels = np.broadcast_to(self._labels[:, None], (self._count, len(tied)))
            scores = (self._combined(weights[tied]).view(np.int32) & _MAGNITUDE).view(np.float32)
            found[tied] = exact(scores.T, labels)
        return found

    def _best(self, weights: Float32) -> tuple[FloatArray, FloatArray]:
        """The best F1 ``[p]`` and how many images are called for it.

        F1 = 2 TP / (called + positives) is at most 2 positives / (k + positives) where more than k images
        are called. So only the k highest scores are sorted, and more of them only where the best F1 among
        these does not reach that.
        """
        if not self._is_defined:
            return np.full((2, len(weights)), np.nan)[0], np.full(len(weights), np.nan)
        keys, positives, n = self._keys(weights), self._positives, self._count
        best, called = np.empty(len(weights)), np.empty(len(weights))
        rows, k = np.arange(len(weights)), self._looked_at
        while True:
            if k < n:
                keys.partition(n - k, axis=1)
            top = keys[:, n - k :]
            top.sort(axis=1)
            found, called_for_it = _best_of(top, positives)
            best[rows], called[rows] = found, called_for_it
            open_ = (found < 2 * positives / (k + positives)) if k < n else np.zeros(len(rows), bool)
            if not open_.any():
                break
            rows, keys, k = rows[open_], keys[open_], min(2 * k, n)
        # What the next ones will need, if they are about as good.
        needed = positives * (2 / max(float(best.min()), 1e-6) - 1)
        self._looked_at = min(int(1.1 * needed) + 8, n)
        return best, called


def _best_of(top: NDArray[np.int32], positives: int) -> tuple[FloatArray, FloatArray]:
    """The best F1 ``[p]`` among the highest keys ``[p, k]``, ascending, and how many images it calls.

    It is reached where the lowest image called is a positive, so only these are looked at.
    """
    count, k = top.shape
    flat = np.flatnonzero((top & 1) == 0)
    ends = np.searchsorted(flat, np.arange(k, count * k + 1, k))
    found = np.diff(ends, prepend=0)
    called = np.repeat(np.arange(k, count * k + 1, k), found) - flat
    f1 = 2 * (np.repeat(ends, found) - np.arange(len(flat))) / (called + positives)
    best, called_for_it = np.zeros(count), np.zeros(count)
    some = found > 0
    best[some] = np.maximum.reduceat(f1, (ends - found)[some]) if len(f1) else 0
    # Backwards, so that of several places the lowest score stays.
    places = np.flatnonzero(f1 == np.repeat(best, found))[::-1]
    called_for_it[flat[places] // k] = called[places]
    return best, called_for_it


class _MostProbable:
    """Figures of the most probable class, where exactly one is right."""

    def __init__(self, scores: FloatArray, labels: FloatArray) -> None:
        known = ~np.isnan(labels).any(axis=1)
        self._scores = scores[:, known].astype(np.float32)
        self._right = labels[known].argmax(axis=1)
        self._classes = labels.shape[1]

    def figures(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """F1 of each class ``[p, c]``, and accuracy ``[p]``."""
        parts = [self._figures(part) for part in _parts(weights.astype(np.float32))]
        return np.concatenate([f1 for f1, _ in parts]), np.concatenate([accuracy for _, accuracy in parts])

    def _figures(self, weights: Float32) -> tuple[FloatArray, FloatArray]:
        form = "pm,mnc->pnc" if weights.ndim == 2 else "pmc,mnc->pnc"
        called = np.einsum(form, weights, self._scores, optimize=True).argmax(axis=2)
        count, classes = len(self._right), self._classes
        cells = called * classes + self._right + np.arange(len(called))[:, None] * classes**2
        matrix = np.bincount(cells.ravel(), minlength=len(called) * classes**2)
        matrix = matrix.reshape(-1, classes, classes).astype(np.float64)
        hits = np.diagonal(matrix, axis1=1, axis2=2)
        either = matrix.sum(axis=1) + matrix.sum(axis=2)
        f1 = np.divide(2 * hits, either, out=np.full(hits.shape, np.nan), where=either > 0)
        return f1, hits.sum(axis=1) / count


def _parts(weights: Float32) -> Iterator[Float32]:
    for start in range(0, len(weights), _AT_ONCE):
        yield weights[start : start + _AT_ONCE]


def _over_classes(values: FloatArray) -> FloatArray:
    """The mean ``[p]`` over the classes ``[p, c]`` where it is defined."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0).sum(axis=1), defined.sum(axis=1))
