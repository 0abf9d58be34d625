"""The threshold that reaches a specificity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt, Le

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.operating import reach_specificity
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.thresholds.missing import missing, no_threshold

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Specificity:
    """Of the observed probabilities whose specificity reaches a target, the one of most sensitivity.

    Of several with equal sensitivity the highest is taken, which is the most specific. Where the negatives
    score so high that even the highest probability does not reach the target, it is taken and marked not
    feasible. A finding that lacks positives or negatives has no threshold (NaN).

    Attributes:
        target: specificity that is reached on tune.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    target: Annotated[float, Gt(0), Le(1)] = 0.9

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        swept = sweep_scores(probabilities, labels)
        rows, reached = reach_specificity(swept, self.target)
        points = []
        for column, row in enumerate(rows):
            if lacking := missing(swept, column):
                points.append(no_threshold(lacking))
                continue
            reason = ""
            if not reached[column]:
                reason = f"no threshold reaches specificity {self.target:g}: the highest"
            elif swept.tp[row, column] == 0:
                reason = f"specificity {self.target:g} leaves no positive called"
            threshold = float(swept.thresholds[row, column])
            points.append(OperatingPoint(threshold, feasible=bool(reached[column]), reason=reason))
        return points
