"""One figure for all classes: macro, weighted and micro averages, and how many classes they cover.

Micro precision, recall and F1 come from :meth:`cxrbench.statistics.decisions.Confusion.pooled`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.ranking import auc, average_precision
from cxrbench.statistics.undefined import mean_defined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


def macro(values: FloatArray) -> float:
    """Mean of the defined values of ``[c]``; NaN where none is."""
    return mean_defined(values)


def covered(values: FloatArray) -> int:
    """How many values of ``[c]`` are defined."""
    return int((~np.isnan(values)).sum())


def weighted(values: FloatArray, weights: NDArray[Any]) -> float:
    """Mean of the defined values of ``[c]``, weighted by ``[c]`` (≥ 0, such as positives of each class).

    NaN where no defined value has a weight.
    """
    defined = ~np.isnan(values)
    total = float(weights[defined].sum())
    return float((values[defined] * weights[defined]).sum() / total) if total > 0 else float("nan")


def micro_auc(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """AUC of all cells of ``[n, c]`` as if they were one class; scores must be comparable between classes."""
    return float(auc(scores.reshape(-1, 1), labels.reshape(-1, 1))[0])


def micro_average_precision(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Average precision of all cells of ``[n, c]`` as if they were one class, as :func:`micro_auc`."""
    return float(average_precision(scores.reshape(-1, 1), labels.reshape(-1, 1))[0])
