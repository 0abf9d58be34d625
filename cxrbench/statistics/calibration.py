"""How far probabilities are from the rates observed: Brier score, expected calibration error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.undefined import known_cells, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


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
    known = known_cells(probabilities, labels)
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    cell = np.nonzero(known)[1] * bins + np.searchsorted(edges, probabilities[known], side="left")
    gaps = (probabilities[known] - labels[known]).astype(np.float64)
    # |mean p - rate| × count = |sum of (p - y)|.
    of_bins = np.bincount(cell, weights=gaps, minlength=known.shape[1] * bins).reshape(-1, bins)
    return ratio(np.abs(of_bins).sum(axis=1), known.sum(axis=0))
