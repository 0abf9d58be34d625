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
    """Fewer images of what is frequent: for training alone, or of the whole data set.

    Only images that show a class alone are left out, so that no rarer finding is lost with them: where
    classes occur together, more may stay.

    Attributes:
        no_finding: share of the images without a finding that training sees.
        max_per_class: training sees at most this many images of a class, and of those without a finding; 0
            is no limit. Val, tune and test stay as they are.
        total_per_class: the same of the whole data set, before roles are given: test has fewer too.
    """

    no_finding: Annotated[float, Ge(0), Le(1)] = 1.0
    max_per_class: Annotated[int, Ge(0)] = 0
    total_per_class: Annotated[int, Ge(0)] = 0

    def subset(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> NDArray[np.bool_]:
        """All of them, or those within ``total_per_class``."""
        return _limited(np.ones(len(labels), dtype=np.bool_), labels, classes, draws, self.total_per_class)

    def balance(self, labels: FloatArray, classes: Sequence[str], draws: FloatArray) -> SamplePlan:
        """Each of those that are kept once."""
        healthy = without_finding(labels, classes)
        kept = leave_share(np.ones(len(labels), dtype=np.bool_), healthy, draws, self.no_finding)
        rows = np.flatnonzero(_limited(kept, labels, classes, draws, self.max_per_class))
        return SamplePlan(rows, np.zeros(len(rows), dtype=np.bool_))


def _limited(
    kept: NDArray[np.bool_], labels: FloatArray, classes: Sequence[str], draws: FloatArray, most: int
) -> NDArray[np.bool_]:
    """What is left of ``kept`` with at most so many images a class; 0 leaves it as it is."""
    if not most:
        return kept
    kept = leave(kept, without_finding(labels, classes) & kept, draws, most)
    for column in range(len(classes)):
        alone = with_one_finding(labels, column) & kept
        others = int(((labels[:, column] == 1) & kept & ~alone).sum())
        kept = leave(kept, alone, draws, max(0, most - others))
    return kept
