"""Which patients are drawn how often in each bootstrap replicate: a function of a text alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.canonical import digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]

_CHUNK = 32
"""Replicates at once: few enough for what is computed of them to stay in a core's cache."""


class Resamples:
    """Bootstrap resamples of patients, the same for everyone who names the same text and the same patients.

    Patients are drawn with replacement, as many as there are; all images of a patient come along as often as
    it is drawn (cluster bootstrap: Davison and Hinkley, "Bootstrap Methods and Their Application", 1997,
    §3.8). A replicate is a weight for each patient. Since the draws depend neither on scores nor on the
    order of rows, two systems on one test set see the same resamples, and the replicates of their
    difference are the differences of their replicates.

    Attributes:
        rows: int64 ``[n]``, the place of each image's patient among the sorted patients.
        clusters: how many patients there are.
        seed: the text.
        identity: the text with a digest of the patients and of how many images each has: where it is the
            same, so are the resamples and what they weigh.
        replicates: how many resamples.
    """

    def __init__(self, patients: Sequence[Any] | NDArray[Any], seed: str, replicates: int = 1000) -> None:
        """Name the resamples; they are drawn by :meth:`weights`.

        Args:
            patients: ``[n]``, the patient of each image, as anything whose text names it.
            seed: a text, such as the identity of the test set.
            replicates: how many; the first of many equal the few.
        """
        names, rows = np.unique(np.asarray(patients).astype(str), return_inverse=True)
        self.rows: IntArray = rows.astype(np.int64)
        self.clusters = len(names)
        self.seed = seed
        self.identity = f"{seed}-{digest([names.tolist(), np.bincount(rows).tolist()])}"
        self.replicates = replicates

    def among(self, images: NDArray[np.bool_]) -> Resamples:
        """The same resamples of all patients, for statistics of some images: bool ``[n]``."""
        some = copy(self)
        some.rows = self.rows[images]
        return some

    def units(self, labels: NDArray[Any]) -> FloatArray:
        """How many patients each class's figures rest on where they are fewest.

        Args:
            labels: ``[n, c]``, 1, 0 or NaN (unknown).

        Returns:
            float64 ``[c]``, the patients with a positive image or those with a negative one, whichever are
            fewer.
        """
        sides = [
            [np.count_nonzero(np.bincount(self.rows[column])) for column in (np.asarray(labels) == side).T]
            for side in (0, 1)
        ]
        fewest: FloatArray = np.array(sides, np.float64).min(axis=0)
        return fewest

    def weights(self) -> Iterator[FloatArray]:
        """How often each patient is drawn: float64 ``[clusters, b]`` for ``b`` replicates at a time."""
        return map(self.drawn, self.starts)

    @property
    def starts(self) -> range:
        """The first replicates of those that :meth:`drawn` gives at a time."""
        return range(0, self.replicates, _CHUNK)

    def drawn(self, start: int) -> FloatArray:
        """How often each patient is drawn in some replicates from ``start`` on: float64 ``[clusters, b]``.

        From the raw bits of PCG64, which NumPy promises to keep the same, unlike what its generators make
        of them.
        """
        bits = np.random.PCG64(int.from_bytes(hashlib.sha256(self.seed.encode()).digest(), "big"))
        bits.advance(start * self.clusters)
        counts = np.empty((min(_CHUNK, self.replicates - start), self.clusters))
        for row in counts:
            # The upper 32 bits, scaled to 0..clusters-1 (Lemire 2019, without the rejection: for a million
            # patients no probability is off by more than 1 in 4,000).
            places = bits.random_raw(self.clusters) >> np.uint64(32)
            places *= np.uint64(self.clusters)
            places >>= np.uint64(32)
            row[:] = np.bincount(places.view(np.int64), minlength=self.clusters)
        return np.ascontiguousarray(counts.T)
