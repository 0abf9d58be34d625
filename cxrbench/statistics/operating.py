"""Thresholds that are best or that reach a target, over the observed scores of each class.

All choose a row of a :class:`~cxrbench.statistics.sweep.Sweep` in each column; what they choose in a column
without positives or without negatives means nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.sweep import Sweep, sweep_positives
from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]


def best_f1(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """The threshold that gives each class its highest F1, and that F1.

    Exact: F1 is best at a positive's probability, and all of them are tried. Of thresholds with equal F1 the
    lowest wins (the most recall).

    Args:
        probabilities: ``[n, c]``.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        Thresholds and F1, float64 ``[c]`` each; NaN in both where a class has no positive.
    """
    swept = sweep_positives(probabilities, labels)
    f1 = swept.f1
    row = f1.argmax(axis=0)
    column = np.arange(f1.shape[1])
    return np.where(swept.positives > 0, swept.thresholds[row, column], np.nan), f1[row, column]


def reach_sensitivity(swept: Sweep, target: float) -> IntArray:
    """The row ``[c]`` of the highest score whose sensitivity is at least ``target``: the most specific."""
    return _last(_scores(swept) & (ratio(swept.tp, swept.positives) >= target))


def reach_specificity(swept: Sweep, target: float) -> tuple[IntArray, NDArray[np.bool_]]:
    """The row ``[c]`` of most sensitivity among scores whose specificity is at least ``target``.

    Of rows with equal sensitivity the one of the highest score, which is the most specific.

    Returns:
        Rows and whether the target is reached; where it is not, the row is that of the highest score.
    """
    scores = _scores(swept)
    reaching = scores & (ratio(swept.negatives - swept.fp, swept.negatives) >= target)
    reached: NDArray[np.bool_] = np.any(reaching, axis=0)
    candidates = np.where(reached, reaching, scores)
    most = np.where(candidates, swept.tp, -1).max(axis=0)
    return _last(candidates & ((swept.tp == most) | ~reached)), reached


def least_cost(swept: Sweep, of_missed: float, of_false: float) -> tuple[IntArray, FloatArray]:
    """The row ``[c]`` of the lowest score of least cost, and that cost: missed positives and false calls."""
    costs = of_missed * (swept.positives - swept.tp) + of_false * swept.fp
    row = np.where(_scores(swept), costs, np.inf).argmin(axis=0)
    return row, costs[row, np.arange(costs.shape[1])]


def match_prevalence(swept: Sweep) -> FloatArray:
    """The threshold ``[c]`` that calls as many images as are positive, more where scores tie there.

    NaN in a column without positives.
    """
    # Rows ascend by score with those that call nothing last, so the k-th highest of n is row n - k.
    row = swept.negatives
    thresholds = swept.thresholds[row, np.arange(len(row))]
    return np.where(swept.positives > 0, thresholds, np.nan)


def _scores(swept: Sweep) -> NDArray[np.bool_]:
    """The rows of scores, other than those in which nothing is called, ``[k, c]``."""
    return np.isfinite(swept.thresholds)


def _last(chosen: NDArray[np.bool_]) -> IntArray:
    """The last chosen row of each column ``[c]``."""
    last: IntArray = len(chosen) - 1 - chosen[::-1].argmax(axis=0)
    return last
