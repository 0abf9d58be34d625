"""The plain average."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.ensembling.weights import weighted, weights_state
from cxrbench.interfaces import FoundEnsemble

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class Average:
    """Every member weighs the same; nothing is searched."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})
    rounds: ClassVar[int] = 0

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights of 1 / m."""
        count = len(members.scores)
        weights = np.full(count, 1 / count)
        return FoundEnsemble(weights, weights_state(weights), weights[None])

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Their average."""
        return weighted(scores, state)
