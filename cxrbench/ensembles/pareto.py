"""Fitness against cost: a front of ensembles rather than one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from cxrbench.ensembling.weights import WORST, normalised, weighted, weights_state
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import FoundEnsemble, FrontPoint, TraceRow

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State

_MEASURE = "measure all on one machine with cxrbench latency RUN…, or "


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """NSGA-II (Deb et al. 2002, by pymoo) of the highest fitness and the least cost.

    An ensemble costs what its members cost together whose weight is not 0.

    Attributes:
        cost: what members cost: their parameters, their latency (p50 of one image, in ms, measured on one
            machine), their FLOPs, or 1 each.
        budget: the most that the ensemble that is taken may cost, of the front's best; 0 sets no limit.
        population: weight vectors.
        generations: of them.
        least: the share of the largest gene under which a member is left out.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    cost: Literal["parameters", "latency_ms", "flops", "members"] = "parameters"
    budget: Annotated[float, Ge(0)] = 0.0
    population: Annotated[int, Ge(4), Le(100_000)] = 50
    generations: Annotated[int, Ge(1), Le(1_000_000)] = 60
    least: Annotated[float, Gt(0), Lt(1)] = 0.1

    @property
    def rounds(self) -> int:
        """A round is a generation."""
        return self.generations

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights ``[m]`` of the front's best point within the budget, and the front.

        Raises:
            UsageError: a member's cost is not known, or nothing is within the budget.
            CxrbenchError: pymoo is not installed.
        """
        try:
            from pymoo.algorithms.moo.nsga2 import NSGA2
            from pymoo.core.callback import Callback
            from pymoo.core.problem import Problem
            from pymoo.optimize import minimize
        except ModuleNotFoundError as error:
            raise CxrbenchError("A front needs pymoo; pip install 'cxrbench[pareto]'.") from error

        costs = members.costs.get(self.cost, np.full(len(members.scores), np.nan))
        if np.isnan(costs).any():
            raise UsageError(
                f"The {self.cost} of {int(np.isnan(costs).sum())} of {len(costs)} members are not known; "
                f"{_MEASURE if self.cost == 'latency_ms' else ''}give pareto another cost: cost=members "
                "counts them."
            )
        least, trace = self.least, list[TraceRow]()

        def weights_of(genes: FloatArray) -> FloatArray:
            return normalised(np.where(genes >= least * genes.max(axis=1, keepdims=True), genes, 0))

        class Ensembles(Problem):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__(n_var=len(costs), n_obj=2, xl=0.0, xu=1.0)

            def _evaluate(self, genes: FloatArray, out: dict[str, Any], *_: Any, **__: Any) -> None:
                weights = weights_of(genes)
                values = np.nan_to_num(fitness.whole(weights), nan=WORST)
                out["F"] = np.column_stack([-values, (weights > 0) @ costs])

        class Told(Callback):  # type: ignore[misc]
            def notify(self, algorithm: Any) -> None:
                values = -algorithm.pop.get("F")[:, 0]
                best = float(values.max())
                evaluations = int(algorithm.evaluator.n_eval)
                trace.append(TraceRow(0, len(trace) + 1, evaluations, best, float(values.mean())))
                advance(best)

        rng = np.random.default_rng(seed)
        first = rng.random((self.population, len(costs)))
        # Each member alone and all of them: the ends of the front are there from the start.
        known = np.vstack([np.eye(len(costs)), np.ones(len(costs))])[: self.population]
        first[: len(known)] = known
        found = minimize(
            Ensembles(),
            NSGA2(pop_size=self.population, sampling=first),
            ("n_gen", self.generations),
            seed=seed,
            callback=Told(),
        )
        genes, values = np.atleast_2d(found.X), np.atleast_2d(found.F)
        points: dict[float, FrontPoint] = {}
        for weights, (loss, cost) in zip(weights_of(genes), values, strict=True):
            # Of equal costs, NSGA-II's archive may hold several that are equally good.
            points.setdefault(float(cost), FrontPoint(weights, -float(loss), float(cost)))
        front = [points[cost] for cost in sorted(points)]
        affordable = [point for point in front if not self.budget or point.cost <= self.budget]
        if not affordable:
            raise UsageError(
                f"No ensemble costs at most {self.budget:,g} {self.cost}: the cheapest member alone costs "
                f"{costs.min():,g}. Give pareto a larger budget."
            )
        taken = max(affordable, key=lambda point: point.fitness).weights
        return FoundEnsemble(taken, weights_state(taken), taken[None], tuple(trace), tuple(front))

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Their weighted average."""
        return weighted(scores, state)
