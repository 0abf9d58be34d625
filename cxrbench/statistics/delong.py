"""Variance of AUCs without resampling: DeLong's, and Obuchowski's for patients with several images.

DeLong takes images as independent, so it applies where each patient has one image; with more, name the
patients, and the sums are taken by patient. Source: DeLong, DeLong and Clarke-Pearson, "Comparing the Areas
under Two or More Correlated Receiver Operating Characteristic Curves", 1988; Obuchowski, "Nonparametric
Analysis of Clustered ROC Curve Data", 1997.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from cxrbench.statistics.intervals import Interval, logit_interval, normal_interval
from cxrbench.statistics.undefined import known_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, slots=True)
class AucCovariance:
    """AUCs of several systems on the same images, and how they vary together over test sets.

    Attributes:
        auc: float64 ``[s, c]`` of ``s`` systems; NaN where a class has no positive or no negative.
        covariance: float64 ``[c, s, s]``; NaN where a class has fewer than two positives or negatives (for
            clustered data: patients with a positive, patients with a negative).
    """

    auc: FloatArray
    covariance: FloatArray

    def interval(self, system: int, finding: int, level: float = 0.95, logit: bool = True) -> Interval:
        """Interval of one AUC; on the logit scale unless told otherwise, which covers better near 1."""
        value, variance = float(self.auc[system, finding]), float(self.covariance[finding, system, system])
        if logit:
            return logit_interval(value, variance, level)
        return normal_interval(value, variance, level)

    def difference(self, a: int, b: int, finding: int, level: float = 0.95) -> tuple[float, Interval, float]:
        """AUC of system ``a`` less that of ``b``, its interval, and the two-sided p of no difference.

        ``z = difference / sqrt(var_a + var_b - 2 cov_ab)``. Where the systems rank alike both are 0: p is 1.
        Where the variance alone is 0, as for a perfect system against one that tells nothing, the images
        show no spread to hold the difference against: p is NaN. So it is where the variance is undefined.
        """
        gap = float(self.auc[a, finding] - self.auc[b, finding])
        block = self.covariance[finding]
        variance = float(max(block[a, a] + block[b, b] - 2 * block[a, b], 0.0))
        if variance > 0:
            p = 2 * float(special.ndtr(-abs(gap) / math.sqrt(variance)))
        else:
            p = 1.0 if gap == variance == 0 else math.nan
        return gap, normal_interval(gap, variance, level), p


def auc_covariance(
    scores: NDArray[Any], labels: NDArray[Any], patients: NDArray[Any] | None = None
) -> AucCovariance:
    """AUCs of systems on the same images, and their covariance.

    A positive's placement is the share of negatives it outscores, ties counted half; a negative's is the
    share of positives that outscore it. Both average to the AUC. DeLong's covariance of two systems is that
    of their positives' placements over their number plus that of the negatives'. Obuchowski's adds up
    placements by patient first and has a third term for patients with both kinds of image.

    Args:
        scores: ``[s, n, c]`` of ``s`` systems, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        patients: ``[n]``; left out where each patient has one image.

    Returns:
        AUCs and covariances; a class in which one system has a score that is not finite is NaN for all.
    """
    systems, _, classes = scores.shape
    auc, covariance = np.full((systems, classes), np.nan), np.full((classes, systems, systems), np.nan)
    known = np.logical_and.reduce([known_cells(each, labels) for each in scores])
    whose = None if patients is None else np.unique(patients, return_inverse=True)[1]
    for column, chosen in enumerate(known.T):
        positive = labels[chosen, column] == 1
        if positive.all() or not positive.any():
            continue
        of_positives, of_negatives = _placements(scores[:, chosen, column].astype(np.float64), positive)
        auc[:, column] = of_positives.mean(axis=1)
        if whose is None:
            covariance[column] = _covariance_of_mean(of_positives) + _covariance_of_mean(of_negatives)
        else:
            rows = whose[chosen]
            covariance[column] = _clustered(of_positives, of_negatives, rows[positive], rows[~positive])
    return AucCovariance(auc, covariance)


def _placements(scores: FloatArray, positive: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Placements of positives ``[s, p]`` and negatives ``[s, q]``."""
    above, under = scores[:, positive], scores[:, ~positive]

    def below(sought: FloatArray, among: FloatArray) -> FloatArray:
        """The share ``[s, k]`` of a system's scores ``among`` that is below each, ties counted half."""
        # Sorting values and looking them up takes a fraction of the time of ranking all of them together.
        orders = [np.argsort(each) for each in sought]
        found = np.empty(sought.shape)
        for row, (order, each, others) in enumerate(zip(orders, sought, np.sort(among), strict=True)):
            ascending = each[order]
            lower, upper = (np.searchsorted(others, ascending, side) for side in ("left", "right"))
            found[row, order] = (lower + upper) / (2 * len(others))
        return found

    return below(above, under), 1 - below(under, above)


def _covariance_of_mean(placements: FloatArray) -> FloatArray:
    """Covariance ``[s, s]`` of the means of ``[s, p]`` independent placements; NaN for a single one."""
    count = placements.shape[1]
    if count < 2:
        return np.full((len(placements), len(placements)), np.nan)
    gaps = placements - placements.mean(axis=1, keepdims=True)
    covariance: FloatArray = gaps @ gaps.T / ((count - 1) * count)
    return covariance


def _clustered(
    of_positives: FloatArray, of_negatives: FloatArray, rows: NDArray[Any], other_rows: NDArray[Any]
) -> FloatArray:
    """Obuchowski 1997, equations 3 to 6: ``S10 / m + S01 / n + (S11 + S11ᵀ) / (m n)``."""
    clusters = int(max(rows.max(), other_rows.max())) + 1
    patients = np.count_nonzero(
        np.bincount(rows, minlength=clusters) + np.bincount(other_rows, minlength=clusters)
    )
    auc = of_positives.mean(axis=1, keepdims=True)

    def by_cluster(placements: FloatArray, places: NDArray[Any]) -> tuple[FloatArray, int]:
        sums = np.stack([np.bincount(places, each, clusters) for each in placements - auc])
        return sums / placements.shape[1], int(np.count_nonzero(np.bincount(places)))

    (positive, with_positive), (negative, with_negative) = (
        by_cluster(of_positives, rows),
        by_cluster(of_negatives, other_rows),
    )
    if min(with_positive, with_negative) < 2:
        return np.full((len(auc), len(auc)), np.nan)
    both = positive @ negative.T
    covariance: FloatArray = (
        positive @ positive.T * (with_positive / (with_positive - 1))
        + negative @ negative.T * (with_negative / (with_negative - 1))
        + (both + both.T) * (patients / (patients - 1))
    )
    return covariance
