"""How far several raters agree on the same images, whoever is right.

Ratings ``[m, n]`` are of ``m`` raters on ``n`` images: whole numbers, one for each category. All figures are
NaN where they are undefined: of no image, and kappa where chance alone would give full agreement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


def disagreement(ratings: NDArray[np.int64]) -> FloatArray:
    """The share of images ``[m, m]`` that two raters put into different categories."""
    if ratings.shape[1] == 0:
        return np.full((len(ratings),) * 2, np.nan)
    return np.stack([(ratings != one).mean(axis=1) for one in ratings])


def cohen_kappa(ratings: NDArray[np.int64]) -> FloatArray:
    """Cohen's kappa ``[m, m]`` of each pair of raters: agreement beyond chance, 1 being full agreement.

    ``(p_o - p_e) / (1 - p_e)``, ``p_o`` being the share of images on which the two agree and ``p_e`` the one
    expected if each kept to how often it uses each category. Cohen, "A Coefficient of Agreement for Nominal
    Scales", 1960.
    """
    shares = _shares(ratings)
    expected = shares @ shares.T
    return ratio(1 - disagreement(ratings) - expected, _beyond(expected))


def fleiss_kappa(ratings: NDArray[np.int64]) -> float:
    """Fleiss' kappa of all raters together; NaN of fewer than two.

    The mean over images of the share of pairs of raters that agree, which is the mean over pairs of the share
    of images they agree on, against ``sum over categories of p_k ** 2``, ``p_k`` being how often all raters
    together use a category. Fleiss, "Measuring Nominal Scale Agreement among Many Raters", 1971.
    """
    count = len(ratings)
    if count < 2 or ratings.shape[1] == 0:
        return float("nan")
    observed = 1 - disagreement(ratings)[np.triu_indices(count, 1)].mean()
    expected = (_shares(ratings).mean(axis=0) ** 2).sum()
    return float(ratio(observed - expected, _beyond(expected)))


def _shares(ratings: NDArray[np.int64]) -> FloatArray:
    """How often each rater uses each category, ``[m, k]``."""
    codes = ratings
    if ratings.size and (ratings.min() < 0 or ratings.max() > ratings.shape[1]):
        codes = np.unique(ratings, return_inverse=True)[1].reshape(ratings.shape)
    many = codes.max(initial=0) + 1
    counts = np.stack([np.bincount(row, minlength=many) for row in codes])
    return ratio(counts, np.full_like(counts, ratings.shape[1]))


def _beyond(expected: FloatArray) -> FloatArray:
    """What is left for agreement beyond chance; 0 but for rounding is 0."""
    rest = 1 - np.asarray(expected)
    return np.where(rest < 1e-12, 0.0, rest)
