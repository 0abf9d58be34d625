"""Members picked one after another, with replacement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Le

from cxrbench.ensembling.weights import weighted, weights_state
from cxrbench.interfaces import FoundEnsemble, TraceRow

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """Ensemble selection: begin with the best members, then add the one that helps most, again and again.

    A member may be added several times. The best average met on the way is the answer. Caruana,
    Niculescu-Mizil, Crew, Ksikes, "Ensemble Selection from Libraries of Models", 2004.

    Attributes:
        picks: how many members are picked altogether, repeated ones included.
        start: how many of the best single members the ensemble begins with.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    picks: Annotated[int, Ge(1), Le(10_000)] = 50
    start: Annotated[int, Ge(1)] = 1

    @property
    def rounds(self) -> int:
        """A round is a pick."""
        return self.picks

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights ``[m]``: how often each member was picked, as a share."""
        alone = np.eye(len(members.scores))
        values = fitness.whole(alone)
        order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
        start = min(self.start, len(order), self.picks)
        counts = alone[order[:start]].sum(axis=0)
        best_weights = counts / start
        best = float(fitness.whole(best_weights[None])[0])
        trace = [TraceRow(0, start, len(values) + 1, best, float(np.mean(values)))]
        advance(best)
        for pick in range(start + 1, self.picks + 1):
            tried = (counts + alone) / pick
            values = fitness.whole(tried)
            chosen = int(np.argmax(np.nan_to_num(values, nan=-np.inf)))
            counts = counts + alone[chosen]
            if values[chosen] > best:
                best, best_weights = float(values[chosen]), counts / pick
            trace.append(TraceRow(0, pick, trace[-1].evaluations + len(values), best, float(np.mean(values))))
            advance(best)
        return FoundEnsemble(best_weights, weights_state(best_weights), best_weights[None], tuple(trace))

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Their weighted average."""
        return weighted(scores, state)
