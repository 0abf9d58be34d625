"""The threshold of the best F1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.sweep import sweep_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


def best_f1(probabilities: NDArray[Any], labels: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """The threshold that gives each class its highest F1, and that F1.

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
