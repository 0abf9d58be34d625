"""An image that looks most like "No Finding" has no finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.errors import UsageError
from cxrbench.findings import NO_FINDING

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class NoFindingExclusive:
    """Where "No Finding" has the highest probability of all classes, no finding is called.

    Its own decision stays as its threshold makes it, and so do all decisions where another class scores as
    high or higher, and those that are undecided.

    Source: Dunn Beltran and Alsaghier, "Multi-Label Classification for Chest X-Rays", 2022, section 6.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def decide(self, decisions: FloatArray, probabilities: FloatArray, classes: Sequence[str]) -> FloatArray:
        """Decisions ``[n, c]``, those of findings 0 where "No Finding" scores highest.

        Raises:
            UsageError: there is no class "No Finding".
        """
        if NO_FINDING not in classes:
            raise UsageError(
                f"The decision rule 'no_finding_exclusive' needs a class '{NO_FINDING}'; give --task "
                "with_no_finding, or the decision rule 'none'."
            )
        column = list(classes).index(NO_FINDING)
        others = np.delete(probabilities, column, axis=1)
        healthy = np.asarray((probabilities[:, [column]] > others).all(axis=1))
        findings = np.arange(len(classes)) != column
        spared = healthy[:, None] & findings & ~np.isnan(decisions)
        return np.where(spared, 0.0, decisions)
