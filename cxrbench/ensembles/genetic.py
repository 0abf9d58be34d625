"""A weight for each member, by a genetic algorithm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cxrbench.ensembling.evolution import Evolution, evolve
from cxrbench.ensembling.weights import weighted, weights_state
from cxrbench.interfaces import FoundEnsemble

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class Genetic(Evolution):
    """The weighted voting of the four-class study: one real gene for each model."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    @property
    def rounds(self) -> int:
        """A round is a generation."""
        return self.restarts * (self.generations + 1)

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights ``[m]`` of the best chromosome of all restarts."""

        def evaluate(weights: FloatArray) -> FloatArray:
            return fitness.whole(weights[0])[None]

        found = evolve(self, evaluate, 1, len(members.scores), seed, advance)
        weights = found.weights[0]
        return FoundEnsemble(weights, weights_state(weights), found.restarts[:, 0], found.trace)

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Their weighted average."""
        return weighted(scores, state)
