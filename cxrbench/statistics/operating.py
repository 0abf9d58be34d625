"""Operating points: what a threshold calls, and the threshold of the best F1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.sweep import sweep_grid, sweep_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]


def counts_at(
    probabilities: NDArray[Any], labels: NDArray[Any], grid: NDArray[Any]
) -> tuple[IntArray, IntArray]:
    """True and false positives of calling each class at ``probability >= threshold``.

    Args:
        probabilities: ``[n, c]``.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        grid: thresholds ``[k]`` that all classes share, ascending.

    Returns:
        ``tp`` and ``fp``, int64 ``[k, c]``; 0 in a column that has no label.

    Raises:
        ValueError: the grid is not ascending.
    """
    swept = sweep_grid(probabilities, labels, grid)
    return swept.tp, swept.fp


def best_f1(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """The highest F1 that any threshold gives each class, and that threshold.

    Exact: F1 changes at observed probabilities only, and all of them are tried. Of thresholds with
    equal F1 the lowest wins (the most recall).

    Args:
        probabilities: ``[n, c]``.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        Thresholds and F1, float64 ``[c]`` each; NaN in both where a class has no positive.
    """
    swept = sweep_scores(probabilities, labels)
    f1 = swept.f1
    row = f1.argmax(axis=0)
    column = np.arange(f1.shape[1])
    return np.where(swept.positives > 0, swept.thresholds[row, column], np.nan), f1[row, column]
