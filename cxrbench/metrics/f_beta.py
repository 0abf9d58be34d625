"""F-beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt

from cxrbench.statistics.decisions import confusion, f_beta
from cxrbench.statistics.undefined import mean_defined

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class FBeta:
    """``(1 + β²) TP / ((1 + β²) TP + β² FN + FP)`` of each finding, and the mean of these.

    The weighted harmonic mean of precision and recall, in which recall is ``beta`` times as important: van
    Rijsbergen, "Information Retrieval", 1979, chapter 7. Beta 1 is F1. A finding without positives is left
    out; one whose positives are all missed counts 0.

    Attributes:
        beta: how many times as important as precision recall is.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    beta: Annotated[float, Gt(0)] = 2.0

    @property
    def higher_is_better(self) -> bool:
        """More is better."""
        return True

    def value(self, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray) -> float:
        """Of decisions ``[n, c]`` against labels ``[n, c]``."""
        return mean_defined(f_beta(confusion(decisions, labels), self.beta))
