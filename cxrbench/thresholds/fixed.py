"""One threshold for every finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Le

from cxrbench.interfaces import OperatingPoint

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """The same threshold for every finding, whatever the data.

    Attributes:
        threshold: probability from which a finding is called positive.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    threshold: Annotated[float, Ge(0), Le(1)] = 0.5

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """The threshold, once for each column of ``probabilities`` ``[n, c]``."""
        return [OperatingPoint(self.threshold)] * probabilities.shape[1]
