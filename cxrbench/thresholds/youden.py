"""The threshold of most sensitivity + specificity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.sweep import sweep_positives
from cxrbench.thresholds.missing import missing

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_HALF = 0.5


@dataclass(frozen=True, kw_only=True)
class Youden:
    """Maximise Youden's J = TPR − FPR over the ROC curve of each finding.

    The threshold is the observed probability at that point of the curve. Of points with equal J the one
    with the highest threshold wins, the first along the curve. A finding whose labels have only one
    class gets 0.5 and is marked not feasible.

    Source: W. J. Youden, "Index for rating diagnostic tests", 1950.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        swept = sweep_positives(probabilities, labels)
        # J in whole numbers, times positives × negatives: ties are exact.
        j = swept.tp * swept.negatives
        j -= swept.fp * swept.positives
        j[np.isinf(swept.thresholds)] = np.iinfo(j.dtype).min
        row = len(j) - 1 - j[::-1].argmax(axis=0)
        points = []
        for column, best in enumerate(row):
            if lacking := missing(swept, column):
                points.append(OperatingPoint(_HALF, feasible=False, reason=f"{lacking} to fit on: 0.5"))
            else:
                reason = "" if j[best, column] > 0 else "no threshold is better than chance (J = 0)"
                points.append(OperatingPoint(float(swept.thresholds[best, column]), reason=reason))
        return points
