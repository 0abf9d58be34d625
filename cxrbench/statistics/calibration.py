"""How far probabilities are from the rates observed: Brier score, its parts, calibration errors, diagrams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from cxrbench.statistics.undefined import known_cells, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]

Binning = Literal["width", "mass"]
"""Bins of equal width ``(a, b]``, 0 in the first; or of equal mass, equal probabilities always in one bin."""


def brier(probabilities: NDArray[Any], labels: NDArray[Any]) -> FloatArray:
    """Mean squared difference of probability and label of each class (Brier 1950, for yes or no).

    Args:
        probabilities: ``[n, c]`` in 0..1.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        float64 ``[c]``; NaN where no label is known.
    """
    known = known_cells(probabilities, labels)
    gaps = np.where(known, probabilities - labels, 0.0).astype(np.float64)
    return ratio((gaps**2).sum(axis=0), known.sum(axis=0))


@dataclass(frozen=True, slots=True)
class BrierParts:
    """Parts of the Brier score of each class, float64 ``[c]`` each.

    ``brier = reliability - resolution + uncertainty + within_variance - within_covariance``.

    Attributes:
        reliability: mean squared distance of mean probability and observed rate over bins; 0 is best.
        resolution: mean squared distance of a bin's rate from the overall rate; more is better.
        uncertainty: ``rate (1 - rate)``, a property of the labels alone.
        within_variance: variance of the probabilities inside their bins.
        within_covariance: twice the covariance of probability and label inside the bins.
    """

    reliability: FloatArray
    resolution: FloatArray
    uncertainty: FloatArray
    within_variance: FloatArray
    within_covariance: FloatArray

    @property
    def generalised_resolution(self) -> FloatArray:
        """What, unlike ``resolution``, makes ``brier = reliability - this + uncertainty`` with any bins."""
        return self.resolution - self.within_variance + self.within_covariance


def brier_parts(
    probabilities: NDArray[Any], labels: NDArray[Any], bins: int = 15, binning: Binning = "width"
) -> BrierParts:
    """Decompose the Brier score of each class over bins of its probabilities.

    Murphy, "A New Vector Partition of the Probability Score", 1973, has reliability, resolution and
    uncertainty; they add up to the Brier score only where all probabilities of a bin are equal. The two
    within-bin parts make the sum exact: Stephenson, Coelho and Jolliffe, "Two Extra Components in the Brier
    Score Decomposition", 2008.

    Args:
        probabilities: ``[n, c]`` in 0..1.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        bins: how many.
        binning: ``width`` or ``mass``, see :data:`Binning`.

    Returns:
        Five parts, NaN where no label is known.
    """
    known = known_cells(probabilities, labels)
    cells = bin_cells(probabilities, known, bins, binning)
    p, y = probabilities[known].astype(np.float64), labels[known].astype(np.float64)
    count, p_sum, y_sum = (_totals(cells, known, bins, weights) for weights in (None, p, y))
    p_mean, rate = ratio(p_sum, count), ratio(y_sum, count)
    n = known.sum(axis=0)
    overall = ratio(y_sum.sum(axis=1), n)
    # Deviations from the bin's own mean, rather than a difference of large sums.
    p_gap, y_gap = p - p_mean.reshape(-1)[cells], y - rate.reshape(-1)[cells]

    def mean(of_bins: FloatArray) -> FloatArray:
        return ratio(np.where(count > 0, of_bins, 0.0).sum(axis=1), n)

    return BrierParts(
        reliability=mean(count * (p_mean - rate) ** 2),
        resolution=mean(count * (rate - overall[:, None]) ** 2),
        uncertainty=overall * (1 - overall),
        within_variance=mean(_totals(cells, known, bins, p_gap**2)),
        within_covariance=mean(2 * _totals(cells, known, bins, p_gap * y_gap)),
    )


def expected_calibration_error(
    probabilities: NDArray[Any], labels: NDArray[Any], bins: int = 15
) -> FloatArray:
    """Expected calibration error of each class.

    The distance of mean probability and observed rate in each of ``bins`` bins of equal width
    ``(a, b]``, weighted by the share of images in the bin. Guo et al., "On Calibration of Modern Neural
    Networks", 2017, equation 3, applied to the probability of the class itself rather than to the
    confidence of the top class.

    Args:
        probabilities: ``[n, c]`` in 0..1; 0 belongs to the first bin.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        bins: how many.

    Returns:
        float64 ``[c]``; NaN where no label is known.
    """
    return _mean_gap(probabilities, labels, bins, "width")


def adaptive_calibration_error(
    probabilities: NDArray[Any], labels: NDArray[Any], bins: int = 15
) -> FloatArray:
    """Calibration error of each class over bins that hold equally many images.

    As :func:`expected_calibration_error`, with bins that follow the probabilities, of which a rare finding
    has nearly all in the first bin of equal width. Nguyen and O'Connor, "Posterior Calibration and
    Exploratory Analysis for Natural Language Processing Models", 2015. Equal probabilities are never
    parted, so bins hold equally many only as far as ties allow.

    Args:
        probabilities: ``[n, c]`` in 0..1.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        bins: how many.

    Returns:
        float64 ``[c]``; NaN where no label is known.
    """
    return _mean_gap(probabilities, labels, bins, "mass")


def maximum_calibration_error(
    probabilities: NDArray[Any], labels: NDArray[Any], bins: int = 15, binning: Binning = "width"
) -> FloatArray:
    """The largest distance of mean probability and observed rate over the bins that hold an image.

    Guo et al. 2017, equation 4. A bin of one image counts as much as any other, so this figure is noisy
    with bins of equal width.

    Args:
        probabilities: ``[n, c]`` in 0..1.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        bins: how many.
        binning: ``width`` or ``mass``, see :data:`Binning`.

    Returns:
        float64 ``[c]``; NaN where no label is known.
    """
    gaps, count = _gaps(probabilities, labels, bins, binning)
    largest: FloatArray = np.abs(ratio(gaps, count)).max(axis=1, initial=-np.inf, where=count > 0)
    return np.where(count.sum(axis=1) > 0, largest, np.nan)


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a reliability diagram shows of each class and bin, ``[c, bins]`` each; NaN where a bin is empty.

    Attributes:
        count: int64, images.
        probability: float64, their mean probability.
        rate: float64, the share of positives among them.
        low: float64, lower end of the interval of the rate.
        high: float64, upper end of it.
    """

    count: IntArray
    probability: FloatArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray


def reliability(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    bins: int = 15,
    binning: Binning = "width",
    level: float = 0.95,
) -> Reliability:
    """Mean probability and observed rate over bins, with Wilson's interval of the rate.

    The interval takes images for independent, so it is too narrow where patients have many. Wilson,
    "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Args:
        probabilities: ``[n, c]`` in 0..1.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        bins: how many.
        binning: ``width`` or ``mass``, see :data:`Binning`.
        level: of the interval.
    """
    known = known_cells(probabilities, labels)
    cells = bin_cells(probabilities, known, bins, binning)
    p, y = probabilities[known].astype(np.float64), labels[known].astype(np.float64)
    count, p_sum, y_sum = (_totals(cells, known, bins, weights) for weights in (None, p, y))
    rate, z2 = ratio(y_sum, count), float(special.ndtri((1 + level) / 2)) ** 2
    n = np.maximum(count, 1)
    centre = (rate + z2 / (2 * n)) / (1 + z2 / n)
    reach = np.sqrt(z2 * (rate * (1 - rate) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return Reliability(count.astype(np.int64), ratio(p_sum, count), rate, centre - reach, centre + reach)


def bin_cells(
    probabilities: NDArray[Any], known: NDArray[np.bool_], bins: int, binning: Binning = "width"
) -> IntArray:
    """The cell ``class × bins + bin`` of each known probability, in the order of ``probabilities[known]``.

    Args:
        probabilities: ``[n, c]`` in 0..1.
        known: ``[n, c]``, which to place.
        bins: how many a class.
        binning: ``width``: bins of equal width ``(a, b]``, 0 in the first. ``mass``: of ``m`` known
            probabilities, the one with ``k`` below it falls into bin ``k × bins // m``.

    Returns:
        int64, one for each known cell.
    """
    if binning == "width":
        edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
        place = np.searchsorted(edges, probabilities[known], side="left")
    else:
        places = np.zeros(known.shape, np.int64)
        for column, chosen in enumerate(known.T):
            p = probabilities[chosen, column]
            places[chosen, column] = np.searchsorted(np.sort(p), p) * bins // max(len(p), 1)
        place = places[known]
    return np.nonzero(known)[1] * bins + place


def _totals(cells: IntArray, known: NDArray[np.bool_], bins: int, weights: FloatArray | None) -> FloatArray:
    """Sums of ``weights`` (counts where None) of each class and bin, float64 ``[c, bins]``."""
    totals = np.bincount(cells, weights=weights, minlength=known.shape[1] * bins)
    return totals.reshape(-1, bins).astype(np.float64)


def _gaps(
    probabilities: NDArray[Any], labels: NDArray[Any], bins: int, binning: Binning
) -> tuple[FloatArray, FloatArray]:
    """Sum of probability less label, and how many, of each class and bin: float64 ``[c, bins]`` each."""
    known = known_cells(probabilities, labels)
    cells = bin_cells(probabilities, known, bins, binning)
    gaps = (probabilities[known] - labels[known]).astype(np.float64)
    return _totals(cells, known, bins, gaps), _totals(cells, known, bins, None)


def _mean_gap(probabilities: NDArray[Any], labels: NDArray[Any], bins: int, binning: Binning) -> FloatArray:
    # |mean p - rate| × count = |sum of (p - y)|.
    gaps, count = _gaps(probabilities, labels, bins, binning)
    return ratio(np.abs(gaps).sum(axis=1), count.sum(axis=1))
