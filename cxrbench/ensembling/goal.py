"""What an ensemble is searched for: a figure that comes along, or a metric."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.ensembling.fitness import FitnessName, WeightedFitness
from cxrbench.ensembling.scales import Scale, to_probabilities
from cxrbench.ensembling.weights import WORST
from cxrbench.errors import UsageError
from cxrbench.interfaces import Fitness, Metric
from cxrbench.processors import processors
from cxrbench.statistics.operating import best_f1
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Goal:
    """What a search makes as high as it can.

    Attributes:
        name: of the figure, or of the metric with its options, as records tell it.
        metric: None for a figure that comes along.
    """

    name: str
    metric: Metric | None = None

    @property
    def turned(self) -> bool:
        """Whether fitness is the figure times -1, as the smaller is the better."""
        return self.metric is not None and not self.metric.higher_is_better

    def told(self, fitness: float) -> str:
        """The figure that a fitness stands for, by name; empty where it is undefined."""
        undefined = math.isnan(fitness) or fitness <= WORST
        return "" if undefined else f"{self.name} {-fitness if self.turned else fitness:.4f}"

    def fitness(self, task: Task, scale: Scale, scores: FloatArray, labels: FloatArray) -> Fitness:
        """The fitness of averages of members' scores ``[m, n, c]`` on labels ``[n, c]``."""
        if self.metric is None:
            name: FitnessName = self.name  # type: ignore[assignment]
            return WeightedFitness(name, task.kind, scores, labels)
        return MetricFitness(self.metric, task, scale, scores, labels)


class MetricFitness:
    """A metric as the fitness of weighted averages (:class:`cxrbench.interfaces.Fitness`).

    Decisions are made at the threshold of each class's best F1, fitted anew for every average, or for the
    most probable class where one is right. Where the smaller is the better, fitness is the metric times -1.
    The metric is called once for each average.
    """

    def __init__(
        self, metric: Metric, task: Task, scale: Scale, scores: FloatArray, labels: FloatArray
    ) -> None:
        """Keep what is judged: members' scores ``[m, n, c]`` on a scale, and labels ``[n, c]``."""
        self._metric, self._task, self._scale = metric, task, scale
        self._scores, self._labels = scores, labels

    def whole(self, weights: FloatArray) -> FloatArray:
        """The fitness ``[p]`` of averages with these weights ``[p, m]`` or ``[p, m, c]``."""
        with ThreadPoolExecutor(processors()) as threads:
            return np.array(list(threads.map(self._value, weights)), np.float64)

    def each(self, weights: FloatArray) -> FloatArray:
        """There is none.

        Raises:
            UsageError: always: a metric is one number of all classes.
        """
        raise UsageError(
            "A metric is one number of all findings, so that weights of each finding cannot be searched for "
            "with it; give --fitness macro_f1, macro_auc or macro_ap, or another --search."
        )

    def _value(self, weights: FloatArray) -> float:
        form = "m,mnc->nc" if weights.ndim == 1 else "mc,mnc->nc"
        average = np.einsum(form, weights, self._scores)
        decisions = self._task.decide(average, refitted(self._task, average, self._labels))
        probabilities = to_probabilities(self._task, self._scale, average)
        value = float(self._metric.value(self._labels, probabilities, decisions))
        return value if self._metric.higher_is_better else -value


def refitted(task: Task, scores: FloatArray, labels: FloatArray) -> FloatArray | None:
    """The threshold ``[c]`` of each class's best F1; None where the most probable class is called."""
    return best_f1(scores, labels)[0] if task.kind == "multilabel" else None


def require_order_alone(metric: Metric, name: str, classes: int) -> None:
    """Refuse a metric of what probabilities are, where scores are ranks, which are no probabilities.

    It is asked twice, of the same labels and decisions: once of probabilities, once of their squares, which
    have the same order.

    Raises:
        UsageError: the answers differ.
    """
    rng = np.random.default_rng(0)
    labels = (rng.random((200, classes)) < 0.5).astype(np.float64)
    probabilities = (rng.random(labels.shape) + labels) / 2
    decisions = (probabilities >= 0.5).astype(np.float64)
    first, second = (metric.value(labels, each, decisions) for each in (probabilities, probabilities**2))
    if not np.isclose(first, second, rtol=1e-9, atol=0, equal_nan=True):
        raise UsageError(
            f"{name} judges probabilities, and ranks are none; give --combine probabilities or logits, or "
            "another --fitness."
        )
