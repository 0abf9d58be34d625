"""The genetic algorithm that weights members, for one set of weights or one for each of several questions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from cxrbench.ensembling.weights import WORST, normalised
from cxrbench.interfaces import TraceRow

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class Evolution:
    """Options of the genetic algorithm.

    A chromosome has one real gene for each member and is normalised to sum 1. The first population is
    uniform random numbers. Each further one keeps the best chromosomes (elitism) and fills up with children:
    two parents, each the best of ``tournament`` random chromosomes; with probability ``crossover`` a share of
    the first parent's genes is replaced by the average of both parents'; with probability ``mutation`` one
    random gene is replaced by a uniform random number; then the child is normalised. Restarts begin with
    other random populations, and the best chromosome of all is the answer.

    Attributes:
        population: chromosomes.
        generations: after the first population.
        restarts: from other random populations.
        tournament: chromosomes that a parent is the best of.
        crossover: probability that a child has a second parent.
        crossover_genes: share of the genes that crossover averages; at least one gene.
        mutation: probability that a child's gene is replaced.
        elitism: share of the population that is kept as it is; at least one chromosome where above 0.
        seed_uniform: whether the first population holds the vector of equal weights, so that the answer is
            never below the plain average.
    """

    population: Annotated[int, Ge(2), Le(100_000)] = 50
    generations: Annotated[int, Ge(1), Le(1_000_000)] = 100
    restarts: Annotated[int, Ge(1), Le(10_000)] = 5
    tournament: Annotated[int, Ge(1)] = 3
    crossover: Annotated[float, Ge(0), Le(1)] = 0.9
    crossover_genes: Annotated[float, Gt(0), Le(1)] = 0.25
    mutation: Annotated[float, Ge(0), Le(1)] = 0.5
    elitism: Annotated[float, Ge(0), Le(1)] = 0.1
    seed_uniform: bool = True


@dataclass(frozen=True)
class Evolved:
    """What the restarts came to, for each of ``q`` questions.

    Attributes:
        weights: ``[q, m]``, the best of all restarts.
        restarts: ``[r, q, m]``, the best of each.
        trace: of fitness, as a mean over questions.
    """

    weights: FloatArray
    restarts: FloatArray
    trace: tuple[TraceRow, ...]


def evolve(
    settings: Evolution,
    evaluate: Callable[[FloatArray], FloatArray],
    questions: int,
    members: int,
    seed: int,
    advance: Callable[[float], None],
) -> Evolved:
    """Run the genetic algorithm.

    Args:
        settings: its options.
        evaluate: the fitness ``[q, p]`` of weights ``[q, p, m]``; NaN counts as the worst.
        questions: how many sets of weights are searched, each by itself.
        members: how many weights each set has.
        seed: of all random numbers.
        advance: called with the best fitness so far after each generation.
    """
    rows: list[TraceRow] = []
    bests, values = [], []
    for restart in range(settings.restarts):
        rng = np.random.default_rng([seed, restart])
        population = _Population(settings, evaluate, questions, members, rng)
        for generation in range(settings.generations + 1):
            if generation:
                population.next()
            best = float(population.best_fitness.mean())
            # Those that are undefined would pull it out of sight.
            known = population.fitness[population.fitness > WORST]
            mean = float(known.mean()) if known.size else WORST
            rows.append(TraceRow(restart, generation, population.evaluations, best, mean))
            advance(best)
        bests.append(population.best)
        values.append(population.best_fitness)
    restarts = np.stack(bests)
    first = np.stack(values).argmax(axis=0)
    return Evolved(restarts[first, np.arange(questions)], restarts, tuple(rows))


class _Population:
    """Chromosomes ``[q, p, m]``, the best first, and their fitness ``[q, p]``.

    Attributes:
        best: the best chromosome of each question that there has been, ``[q, m]``.
        best_fitness: its fitness ``[q]``.
        evaluations: chromosomes evaluated so far, of each question; none twice for being copied.
    """

    def __init__(
        self,
        settings: Evolution,
        evaluate: Callable[[FloatArray], FloatArray],
        questions: int,
        members: int,
        rng: np.random.Generator,
    ) -> None:
        self._settings, self._evaluate, self._rng = settings, evaluate, rng
        genes = rng.random((questions, settings.population, members))
        if settings.seed_uniform:
            genes[:, 0] = 1
        self.evaluations = 0
        self.best = np.zeros((questions, members))
        self.best_fitness = np.full(questions, -np.inf)
        self._keep(normalised(genes), self._fitness_of(normalised(genes)))

    def next(self) -> None:
        """The next generation."""
        settings = self._settings
        elite = min(math.ceil(settings.elitism * settings.population), settings.population - 1)
        children, fitness = self._children(settings.population - elite)
        self._keep(
            np.concatenate([self.genes[:, :elite], children], axis=1),
            np.concatenate([self.fitness[:, :elite], fitness], axis=1),
        )

    def _fitness_of(self, genes: FloatArray) -> FloatArray:
        self.evaluations += genes.shape[1]
        return np.nan_to_num(self._evaluate(genes), nan=WORST)

    def _keep(self, genes: FloatArray, fitness: FloatArray) -> None:
        """Make these the population."""
        order = np.argsort(-fitness, axis=1, kind="stable")
        self.genes = np.take_along_axis(genes, order[:, :, None], axis=1)
        self.fitness = np.take_along_axis(fitness, order, axis=1)
        # Without elitism a later population may be worse.
        better = self.fitness[:, 0] > self.best_fitness
        self.best = np.where(better[:, None], self.genes[:, 0], self.best)
        self.best_fitness = np.where(better, self.fitness[:, 0], self.best_fitness)

    def _children(self, count: int) -> tuple[FloatArray, FloatArray]:
        """Children ``[q, count, m]`` and their fitness; one that is its parent again has its parent's."""
        settings, rng = self._settings, self._rng
        questions, population, members = self.genes.shape
        # The population is sorted: the best of a tournament is the first of it.
        parents = rng.integers(0, population, (2, questions, count, settings.tournament)).min(axis=3)
        first, second = (np.take_along_axis(self.genes, each[:, :, None], axis=1) for each in parents)
        shared = max(1, round(settings.crossover_genes * members))
        places = rng.random((questions, count, members)).argsort(axis=2).argsort(axis=2)
        crossed = (places < shared) & (rng.random((questions, count, 1)) < settings.crossover)
        children = np.where(crossed, (first + second) / 2, first)
        gene = rng.integers(0, members, (questions, count, 1))
        mutated = (np.arange(members) == gene) & (rng.random((questions, count, 1)) < settings.mutation)
        children = np.where(mutated, rng.random((questions, count, 1)), children)
        fitness = np.take_along_axis(self.fitness, parents[0], axis=1)
        new = (children != first).any(axis=(0, 2))
        children = np.where(new[:, None], normalised(children), first)
        if new.any():
            fitness[:, new] = self._fitness_of(children[:, new])
        return children, fitness
