"""What decisions cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt

from cxrbench.statistics.decisions import confusion
from cxrbench.statistics.undefined import mean_defined, ratio

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class ExpectedCost:
    """``(fn × missed positives + fp × false calls) / decided images`` of each finding, and the mean of these.

    What the threshold strategy ``cost`` of the same costs makes small: Elkan, "The Foundations of
    Cost-Sensitive Learning", 2001.

    Attributes:
        fn: cost of a missed positive.
        fp: cost of a false call.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    fn: Annotated[float, Gt(0)] = 10.0
    fp: Annotated[float, Gt(0)] = 1.0

    @property
    def higher_is_better(self) -> bool:
        """Less is better."""
        return False

    def value(self, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray) -> float:
        """Of decisions ``[n, c]`` against labels ``[n, c]``."""
        counts = confusion(decisions, labels)
        images = counts.tp + counts.fp + counts.tn + counts.fn
        return mean_defined(ratio(self.fn * counts.fn + self.fp * counts.fp, images))
