"""No rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class NoRule:
    """Decisions stay as thresholds, or the most probable class, make them."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    def decide(self, decisions: FloatArray, probabilities: FloatArray, classes: Sequence[str]) -> FloatArray:
        """The same decisions."""
        return decisions
