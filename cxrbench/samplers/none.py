"""Every image once, as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.interfaces import SamplePlan

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class NoSampler:
    """Keeps every image and shows training each once an epoch."""

    def subset(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> NDArray[np.bool_]:
        """All of them."""
        return np.ones(len(labels), dtype=np.bool_)

    def balance(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> SamplePlan:
        """Each once."""
        return SamplePlan(np.arange(len(labels)), np.zeros(len(labels), dtype=np.bool_))
