"""No ensemble: its best member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.ensembling.weights import WORST, weighted, weights_state
from cxrbench.interfaces import FoundEnsemble

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class BestSingle:
    """The one member of the highest fitness, the first of several; what every ensemble must beat."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})
    rounds: ClassVar[int] = 0

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """A weight of 1 for that member, of 0 for the others."""
        alone = np.eye(len(members.scores))
        weights = alone[int(np.argmax(np.nan_to_num(fitness.whole(alone), nan=WORST)))]
        return FoundEnsemble(weights, weights_state(weights), weights[None])

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """That member's scores."""
        return weighted(scores, state)
