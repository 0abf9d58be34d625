"""Cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.statistics.undefined import known_cells, mean_defined, ratio

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1, so that one certain mistake does not make all infinite."""


@dataclass(frozen=True, kw_only=True)
class LogLoss:
    """``-log p`` of what each image's label is, its mean over images of each finding, and the mean of these.

    A strictly proper score, in nats: only the true probabilities make it smallest (Good, "Rational
    Decisions", 1952). Where one class is right, each class counts against the rest.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    @property
    def higher_is_better(self) -> bool:
        """Less is better."""
        return False

    def value(self, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray) -> float:
        """Of probabilities ``[n, c]`` against labels ``[n, c]``."""
        known = known_cells(probabilities, labels)
        right = np.where(labels == 1, probabilities, 1 - probabilities)
        losses = -np.log(np.clip(right, _SMALLEST, 1))
        return mean_defined(ratio(np.where(known, losses, 0).sum(axis=0), known.sum(axis=0)))
