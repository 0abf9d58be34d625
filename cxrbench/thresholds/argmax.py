"""No thresholds: the most probable class is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cxrbench.interfaces import OperatingPoint

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Argmax:
    """Leaves the decision to the task, which calls the most probable class of an image."""

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """No threshold for any class."""
        return [OperatingPoint(float("nan"))] * probabilities.shape[1]
