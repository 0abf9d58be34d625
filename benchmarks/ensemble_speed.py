"""How long a genetic search takes whose fitness refits every threshold, against plain ways to do the same.

Run ``python benchmarks/ensemble_speed.py``. Eight simulated models of 11,000 images and NIH's 14 findings are
weighed for the highest macro-F1 at thresholds of best F1 (population 50, 100 generations, 5 restarts). Peers,
in the same run: that fitness by scikit-learn's precision-recall curves, extrapolated from a few ensembles;
and by plain torch, which sorts every finding of every ensemble in a population, extrapolated from a few
generations. All three find the same F1.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from cxrbench.ensembles.genetic import Genetic
from cxrbench.ensembling.fitness import WeightedFitness
from cxrbench.interfaces import Members

MODELS, IMAGES = 8, 11_000
POSITIVES = (11559, 2776, 13317, 19894, 5782, 6331, 1431, 5302, 4667, 2303, 2516, 1686, 3385, 227)
"""Of the 14 findings among NIH's 112,120 images."""
LOOPED, GENERATIONS = 5, 3

Array = NDArray[np.float64]


def simulate() -> tuple[Array, Array]:
    """Probabilities ``[m, n, c]`` of models that err partly together, AUC about .8, and labels."""
    rng = np.random.default_rng(0)
    prevalence = np.array(POSITIVES) / 112_120
    labels = (rng.random((IMAGES, len(prevalence))) < prevalence).astype(float)
    shared = 0.8 * rng.normal(size=labels.shape)
    own = 0.6 * rng.normal(size=(MODELS, *labels.shape))
    quality = np.linspace(1.1, 1.5, MODELS)[:, None, None]
    return 1 / (1 + np.exp(-(shared + own + quality * labels + np.log(prevalence)))), labels


def by_sklearn(weights: Array, scores: Array, labels: Array) -> float:
    """Macro-F1 of one ensemble."""
    combined = np.einsum("m,mnc->nc", weights, scores)
    best = []
    for column in range(labels.shape[1]):
        precision, recall, _ = precision_recall_curve(labels[:, column], combined[:, column])
        total = np.maximum(precision + recall, 1e-12)
        best.append((2 * precision * recall / total).max())
    return float(np.mean(best))


def by_torch(weights: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Macro-F1 ``[p]`` of a population, in single precision as ours."""
    combined = torch.einsum("pm,mnc->pcn", weights, scores)
    order = combined.argsort(dim=2, descending=True)
    hits = labels.T.expand(len(weights), -1, -1).gather(2, order).cumsum(2)
    called = torch.arange(1, labels.shape[0] + 1)
    f1: torch.Tensor = 2 * hits / (called + labels.sum(0)[:, None])
    return f1.amax(2).mean(1)


def main() -> None:
    scores, labels = simulate()
    search = Genetic()
    fitness = WeightedFitness("macro_f1", "multilabel", scores, labels)
    members = Members(scores, labels, np.arange(IMAGES).astype(str), "probabilities", {})
    started, busy = time.perf_counter(), time.process_time()
    found = search.search(members, fitness, 0, lambda best: None)
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    last = {row.restart: row.evaluations for row in found.trace}
    evaluations = sum(last.values())
    value = float(fitness.whole(found.weights[None])[0])
    average = float(fitness.whole(np.full((1, MODELS), 1 / MODELS))[0])
    print(
        f"genetic: {MODELS} models × {IMAGES:,} images × {labels.shape[1]} findings, {evaluations:,} "
        f"ensembles in {seconds:.1f} s ({cpu:.1f} s of processor time); macro-F1 {value:.4f}, of the plain "
        f"average {average:.4f}"
    )
    population = np.random.default_rng(1).dirichlet(np.ones(MODELS), 50)
    started = time.perf_counter()
    looped = [by_sklearn(weights, scores, labels) for weights in population[:LOOPED]]
    each = (time.perf_counter() - started) / LOOPED
    tensors = [torch.from_numpy(array).float() for array in (population, scores, labels)]
    started = time.perf_counter()
    for _ in range(GENERATIONS):
        plain = by_torch(*tensors)
    generation = (time.perf_counter() - started) / GENERATIONS
    ours = fitness.whole(population)
    gap = max(np.abs(ours[:LOOPED] - looped).max(), np.abs(ours - plain.numpy()).max())
    print(f"  the same fitness to {gap:.0e}")
    for name, total in (
        (f"scikit-learn, extrapolated from {LOOPED} ensembles", each * evaluations),
        (f"plain torch, extrapolated from {GENERATIONS} generations", generation * evaluations / 50),
    ):
        print(f"  against {name}: {total:.0f} s ({total / seconds:.1f} ×)")


if __name__ == "__main__":
    main()
