"""Figures of tasks in which exactly one class of an image is right.

Decisions and labels are ``[n, c]`` with a single 1 in each row, or NaN in all of it (undecided, unknown).
What holds of each class against the rest comes from the functions for multi-label tasks:
:func:`cxrbench.statistics.ranking.auc` of ``[n, c]`` probabilities, and those of
:func:`cxrbench.statistics.decisions.confusion`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.averages import macro
from cxrbench.statistics.decisions import confusion, f1
from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]


def confusion_matrix(decisions: NDArray[Any], labels: NDArray[Any]) -> IntArray:
    """Images by class (rows) and by the class that they are called (columns), int64 ``[c, c]``.

    Images without a decision or a label are left out.
    """
    counts: IntArray = ((labels == 1).T.astype(np.float64) @ (decisions == 1)).astype(np.int64)
    return counts


def accuracy(matrix: IntArray) -> float:
    """Share of images that are called their class, of a matrix ``[c, c]``; NaN where there is no image.

    Not the mean accuracy of each class against the rest, which counts every right call of an absent class.
    """
    return float(ratio(np.trace(matrix), matrix.sum()))


def macro_f1(decisions: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean F1 of each class against the rest, over the classes that an image has; NaN where none has."""
    return macro(f1(confusion(decisions, labels)))


def cohen_kappa(matrix: IntArray) -> float:
    """Agreement beyond chance over all classes, of a matrix ``[c, c]`` (Cohen 1960).

    NaN where chance alone would agree everywhere: there is no image, or a single class in labels and calls.
    """
    total = float(matrix.sum())
    by_chance = ratio((matrix.sum(axis=0) * matrix.sum(axis=1)).sum(), total**2)
    return float(ratio(accuracy(matrix) - by_chance, 1 - by_chance))
