"""What each patient adds to a figure: variances of many groups of images without resampling.

A figure of a group of images is, but for terms that vanish as patients grow many, its value plus the sum of
what each patient adds to it; so its variance over patients is the sum of their squares, and that of any sum,
difference or mean of figures, whoever their patients are, likewise (the infinitesimal jackknife, with
patients as units: Efron, "The Jackknife, the Bootstrap and Other Resampling Plans", 1982, chapter 6). For
rates it is the linearised variance of clustered data (Rao and Scott, "A Simple Method for the Analysis of
Clustered Binary Data", 1992), for AUCs that of Obuchowski, "Nonparametric Analysis of Clustered ROC Curve
Data", 1997.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from cxrbench.statistics.calibration import bin_cells
from cxrbench.statistics.undefined import known_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]

FIGURES = ("auc", "tpr", "fpr", "ece")
"""AUC, true and false positive rate of decisions, expected calibration error."""

_BINS = 15


@dataclass(frozen=True, slots=True)
class Linear:
    """The :data:`FIGURES` of ``k`` findings (or means over findings) as sums over patients.

    Attributes:
        values: float64 ``[f, k]``; NaN where undefined.
        by_patient: float64 ``[f, k, clusters]``, what each patient adds.
        bias: float64 ``[f, k]``, by how much the calibration error is too large, as noise makes it; 0 for
            the other figures.
        units: float64 ``[f, k]``, how many patients a figure rests on.
    """

    values: FloatArray
    by_patient: FloatArray
    bias: FloatArray
    units: FloatArray

    def only(self, findings: NDArray[Any]) -> Linear:
        """Some of the findings."""
        return Linear(
            self.values[:, findings],
            self.by_patient[:, findings],
            self.bias[:, findings],
            self.units[:, findings],
        )

    def mean(self) -> Linear:
        """The mean over findings, ``k = 1``; it rests on as many patients as the scarcest of them."""
        return Linear(
            self.values.mean(axis=1, keepdims=True),
            self.by_patient.mean(axis=1, keepdims=True),
            self.bias.mean(axis=1, keepdims=True),
            self.units.min(axis=1, keepdims=True),
        )

    def covariance(self, other: Linear) -> FloatArray:
        """With the same figures of other images ``[f, k]``; with themselves, their variance.

        Squares are of deviations from a mean that fits the very patients, so they are enlarged by
        ``u / (u - 1)`` for ``u`` patients, as in Obuchowski 1997.
        """
        enlarged = np.sqrt(_enlargement(self.units) * _enlargement(other.units))
        products = np.einsum("fkp,fkp->fk", self.by_patient, other.by_patient)
        covariance: FloatArray = products * enlarged
        return covariance


@dataclass(frozen=True, slots=True)
class _Seen:
    """The ``n`` images of a finding that count, by ascending probability."""

    places: IntArray
    probabilities: FloatArray
    bins: IntArray
    positive: NDArray[np.bool_]
    decisions: FloatArray
    rows: IntArray

    def among(self, images: NDArray[np.bool_]) -> _Seen:
        kept = images[self.places]
        return _Seen(*(getattr(self, name)[kept] for name in self.__slots__))


class Images:
    """The images of a test set, sorted once for each finding, so that groups of them take little."""

    def __init__(
        self,
        probabilities: NDArray[Any],
        labels: NDArray[Any],
        decisions: NDArray[Any],
        rows: IntArray,
        clusters: int,
    ) -> None:
        """Sort the images of each finding.

        Args:
            probabilities: ``[n, c]`` in 0..1.
            labels: ``[n, c]``, 1, 0 or NaN (unknown).
            decisions: ``[n, c]``, 1, 0 or NaN (undecided: counts in no rate).
            rows: ``[n]``, the place of each image's patient.
            clusters: how many patients there are.
        """
        self._clusters, self._findings = clusters, list[_Seen]()
        for column, known in enumerate(known_cells(probabilities, labels).T):
            places = np.flatnonzero(known)
            places = places[np.argsort(probabilities[places, column])]
            p = probabilities[places, column].astype(np.float64)
            self._findings.append(
                _Seen(
                    places,
                    p,
                    bin_cells(p[:, None], np.ones((len(p), 1), np.bool_), _BINS),
                    labels[places, column] == 1,
                    decisions[places, column],
                    rows[places],
                )
            )

    def of(self, images: NDArray[np.bool_], findings: NDArray[np.bool_]) -> Linear:
        """The figures of some images, bool ``[n]``; those of findings left out, bool ``[c]``, are NaN."""
        shape = len(FIGURES), len(self._findings)
        values, bias, units = np.full((3, *shape), np.nan)
        by_patient = np.zeros((*shape, self._clusters))
        for column in np.flatnonzero(findings):
            seen = self._findings[column].among(images)
            for figure, of_finding in enumerate((_auc, _tpr, _fpr, _ece)):
                found = of_finding(seen, self._clusters)
                values[figure, column], by_patient[figure, column], units[figure, column] = found[:3]
                bias[figure, column] = found[3] if len(found) > 3 else 0
        return Linear(values, by_patient, bias, units)


def _auc(seen: _Seen, clusters: int) -> tuple[Any, ...]:
    """Value, what patients add, and how many patients it rests on where they are fewest.

    A positive adds how far its placement, the share of negatives below it, is from the AUC; a negative that
    of the positives above it (DeLong et al. 1988); ties count half.
    """
    p, positive = seen.probabilities, seen.positive
    starts = np.flatnonzero(np.r_[True, p[1:] != p[:-1]]) if len(p) else np.empty(0, np.int64)
    of_tie = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(p)]))

    def doubled_below(chosen: NDArray[np.bool_]) -> IntArray:
        """Twice how many of these are below each score, those that tie with it counted once."""
        counts = np.bincount(of_tie, chosen, len(starts)).astype(np.int64)
        doubled: IntArray = (2 * counts.cumsum() - counts)[of_tie]
        return doubled

    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not (positives and negatives):
        return np.nan, np.zeros(clusters), 0
    below, of_positives = doubled_below(~positive), doubled_below(positive)
    value = below[positive].sum() / (2 * positives * negatives)
    placements = np.where(positive, below / (2 * negatives), 1 - of_positives / (2 * positives))
    shares = (placements - value) / np.where(positive, positives, negatives)
    units = min(np.count_nonzero(np.bincount(seen.rows[side])) for side in (positive, ~positive))
    return value, np.bincount(seen.rows, shares, clusters), units


def _tpr(seen: _Seen, clusters: int) -> tuple[Any, ...]:
    return _rate(seen, seen.positive, clusters)


def _fpr(seen: _Seen, clusters: int) -> tuple[Any, ...]:
    return _rate(seen, ~seen.positive, clusters)


def _rate(seen: _Seen, chosen: NDArray[np.bool_], clusters: int) -> tuple[Any, ...]:
    """The share of the chosen images that is called."""
    decided = chosen & ~np.isnan(seen.decisions)
    called, rows = seen.decisions[decided], seen.rows[decided]
    if not len(rows):
        return np.nan, np.zeros(clusters), 0
    value = called.mean()
    return (
        value,
        np.bincount(rows, (called - value) / len(rows), clusters),
        np.count_nonzero(np.bincount(rows)),
    )


def _ece(seen: _Seen, clusters: int) -> tuple[Any, ...]:
    """Also by how much it is too large.

    A bin adds the size of its gap ``g``, which varies over patients by ``σ``. The mean of such a size is
    ``g erf(g / σ√2) + σ √(2/π) exp(-g² / 2σ²)`` (folded normal: Leone, Nelson and Nottingham 1961); how far
    that is above the size is the bias. What patients add to it varies like the share of the slope that is
    not the first factor; here both are added as if independent, which errs on the side of wide intervals.
    """
    images = len(seen.rows)
    if not images:
        return np.nan, np.zeros(clusters), 0, 0
    gaps = seen.probabilities - seen.positive
    by_bin = np.bincount(seen.rows * _BINS + seen.bins, gaps, clusters * _BINS).reshape(clusters, _BINS)
    counts = np.bincount(seen.rows, minlength=clusters)
    g, sigma = by_bin.sum(axis=0), np.sqrt((by_bin**2).sum(axis=0))
    z = np.divide(g, sigma, out=np.zeros(_BINS), where=sigma > 0)
    certain = np.abs(special.erf(z / np.sqrt(2)))
    size = np.abs(g) * certain + sigma * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2)
    slope = np.sign(g) * np.sqrt(1 + (1 - certain) ** 2)
    by_patient = (by_bin @ slope - counts * (g @ slope) / images) / images
    bias = (size - np.abs(g)).sum() / images
    return np.abs(g).sum() / images, by_patient, np.count_nonzero(counts), bias


def _enlargement(units: FloatArray) -> FloatArray:
    return units / np.maximum(units - 1, 1)
