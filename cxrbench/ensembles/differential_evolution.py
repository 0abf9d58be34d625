"""A weight for each member, by differential evolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le, Lt

from cxrbench.ensembling.weights import normalised, weighted, weights_state
from cxrbench.interfaces import FoundEnsemble, TraceRow

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class DifferentialEvolution:
    """Differential evolution (Storn and Price 1997) of weights in 0..1 that are then normalised to sum 1.

    As SciPy does it, with ``best1bin``.

    Attributes:
        population: vectors for each member.
        generations: at most.
        recombination: probability that a weight comes from the mutant.
        mutation_low: least scale of the difference that mutates, drawn for each generation.
        mutation_high: greatest.
        tolerance: relative spread of the population's fitness at which the search ends.
        seed_uniform: whether the first population holds the vector of equal weights.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    population: Annotated[int, Ge(1), Le(10_000)] = 15
    generations: Annotated[int, Ge(1), Le(1_000_000)] = 100
    recombination: Annotated[float, Ge(0), Le(1)] = 0.7
    mutation_low: Annotated[float, Ge(0), Lt(2)] = 0.5
    mutation_high: Annotated[float, Ge(0), Lt(2)] = 1.0
    tolerance: Annotated[float, Ge(0)] = 1e-5
    seed_uniform: bool = True

    @property
    def rounds(self) -> int:
        """A round is a generation."""
        return self.generations

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights ``[m]``."""
        from scipy.optimize import Bounds, differential_evolution

        count = len(members.scores)
        trace: list[TraceRow] = []
        evaluated = [0, float("nan")]

        def loss(vectors: Any, /) -> Any:
            values = fitness.whole(normalised(np.atleast_2d(vectors.T)))
            evaluated[0] += len(values)
            evaluated[1] = float(np.mean(values))
            return -np.nan_to_num(values, nan=-np.inf)

        def told(intermediate_result: Any) -> None:
            best = -float(intermediate_result.fun)
            trace.append(TraceRow(0, len(trace) + 1, int(evaluated[0]), best, evaluated[1]))
            advance(best)

        low, high = sorted((self.mutation_low, self.mutation_high))
        found = differential_evolution(
            loss,
            Bounds(np.zeros(count), np.ones(count)),
            maxiter=self.generations,
            popsize=self.population,
            mutation=(low, high) if low < high else low,
            recombination=self.recombination,
            tol=self.tolerance,
            atol=0,
            polish=False,
            updating="deferred",
            vectorized=True,
            x0=np.full(count, 0.5) if self.seed_uniform else None,
            rng=np.random.default_rng(seed),
            callback=told,
        )
        weights = normalised(np.asarray(found.x, np.float64))
        return FoundEnsemble(weights, weights_state(weights), weights[None], tuple(trace))

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Their weighted average."""
        return weighted(scores, state)
