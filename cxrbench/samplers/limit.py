"""Fewer images of what is frequent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le

from cxrbench.interfaces import SamplePlan
from cxrbench.samplers.shares import leave, leave_share, with_one_finding, without_finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Shows training fewer images of what is frequent; val, tune and test stay as they are.

    Attributes:
        no_finding: share of the images without a finding that is kept.
        max_per_class: of the images of a class, and of those without a finding, at most this many are kept;
            0 keeps all. Only images that show the class alone are left out, so that no rarer finding is
            lost with them: where classes occur together, more may stay.
    """

    no_finding: Annotated[float, Ge(0), Le(1)] = 1.0
    max_per_class: Annotated[int, Ge(0)] = 0

    def subset(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> NDArray[np.bool_]:
        """All of them."""
        return np.ones(len(labels), dtype=np.bool_)

    def balance(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> SamplePlan:
        """Each of those that are kept once."""
        healthy = without_finding(labels, classes)
        kept = leave_share(np.ones(len(labels), dtype=np.bool_), healthy, draws, self.no_finding)
        if self.max_per_class:
            kept = leave(kept, healthy & kept, draws, self.max_per_class)
            for column in range(len(classes)):
                alone = with_one_finding(labels, column) & kept
                others = int(((labels[:, column] == 1) & kept & ~alone).sum())
                kept = leave(kept, alone, draws, max(0, self.max_per_class - others))
        rows = np.flatnonzero(kept)
        return SamplePlan(rows, np.zeros(len(rows), dtype=np.bool_))
