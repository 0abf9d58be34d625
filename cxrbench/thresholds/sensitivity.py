"""The threshold that reaches a sensitivity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt, Le

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.operating import reach_sensitivity
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.thresholds.missing import missing, no_threshold

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Of the observed probabilities whose sensitivity reaches a target, the highest: the most specific.

    Some threshold always reaches the target, at worst one from which every image is called, which is said.
    A finding that lacks positives or negatives has no threshold (NaN).

    Attributes:
        target: sensitivity that is reached on tune.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    target: Annotated[float, Gt(0), Le(1)] = 0.9

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        swept = sweep_scores(probabilities, labels)
        points = []
        for column, row in enumerate(reach_sensitivity(swept, self.target)):
            if lacking := missing(swept, column):
                points.append(no_threshold(lacking))
            else:
                everything = swept.fp[row, column] == swept.negatives[column]
                reason = f"sensitivity {self.target:g} takes calling every negative" if everything else ""
                points.append(OperatingPoint(float(swept.thresholds[row, column]), reason=reason))
        return points
