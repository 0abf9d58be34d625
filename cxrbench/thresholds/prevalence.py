"""The threshold that calls as many images as are positive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.operating import match_prevalence
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.thresholds.missing import missing, no_threshold

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Prevalence:
    """The ``k``-th highest probability of each finding, ``k`` being its number of positives.

    So as many images are called as are positive, or more where probabilities tie there; precision then
    equals sensitivity. A finding that lacks positives or negatives has no threshold (NaN).
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        swept = sweep_scores(probabilities, labels)
        return [
            no_threshold(lacking) if (lacking := missing(swept, column)) else OperatingPoint(float(threshold))
            for column, threshold in enumerate(match_prevalence(swept))
        ]
