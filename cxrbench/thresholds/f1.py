"""The threshold of the best F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.operating import best_f1
from cxrbench.thresholds.missing import no_threshold

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class F1:
    """Maximise F1 over all observed probabilities of each finding: exact, without a grid or a floor.

    Of thresholds with equal F1 the lowest wins (the most recall). A finding without any positive has no F1
    and no threshold (NaN).

    The optimum lies at half of the best F1 where probabilities are calibrated, hence low for a finding that
    is hard to tell: Lipton, Elkan and Naryanaswamy, "Optimal Thresholding of Classifiers to Maximize F1
    Measure", 2014.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        thresholds, _ = best_f1(probabilities, labels)
        return [
            no_threshold("no positive") if np.isnan(threshold) else OperatingPoint(float(threshold))
            for threshold in thresholds
        ]
