"""A weight for each member and finding, by a genetic algorithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.ensembling.evolution import Evolution, evolve
from cxrbench.ensembling.weights import weighted, weights_state
from cxrbench.interfaces import FoundEnsemble

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class PerFinding(Evolution):
    """As ``genetic``, each finding with a population of its own; many more weights on the same images."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    @property
    def rounds(self) -> int:
        """A round is a generation of all findings."""
        return self.restarts * (self.generations + 1)

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights ``[m, c]``; restarts are those of each finding, put side by side."""
        count, _, classes = members.scores.shape
        found = evolve(
            self,
            lambda weights: np.nan_to_num(fitness.each(weights.transpose(1, 2, 0)).T),
            classes,
            count,
            seed,
            advance,
        )
        weights = found.weights.T
        return FoundEnsemble(weights, weights_state(weights), found.restarts.transpose(0, 2, 1), found.trace)

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Their weighted average, finding by finding."""
        return weighted(scores, state)
