"""Simulated studies whose truth is known: scores of several networks on images of patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from cxrbench.statistics.bootstrap import Estimate, bootstrap
from cxrbench.statistics.comparison import paired_difference
from cxrbench.statistics.delong import auc_covariance
from cxrbench.statistics.intervals import Interval
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.systems import combine_seeds, compare_systems
from cxrbench.statistics.weighted import Ranking


@dataclass(frozen=True)
class Design:
    """How a study is made.

    Attributes:
        auc: the true one of every network.
        patients: how many.
        images: of a patient, on average; scores and labels of a patient's images hang together.
        positives: images, on average.
        seeds: networks of each of two systems.
        seed_deviation: of the distance of positives and negatives over seeds, in standard deviations.
        replicates: of the bootstrap.
    """

    auc: float
    patients: int
    images: float
    positives: int
    seeds: int = 1
    seed_deviation: float = 0.0
    replicates: int = 1000


def draw(rng, design):
    """Scores ``[networks, n, 1]``, labels ``[n, 1]`` and patients ``[n]``.

    A score is normal with variance 1: half of it belongs to the network, half is common to all networks and
    half of that to all images of a patient. Pairs of one patient are so few that the AUC of a positive and a
    negative of different patients is the truth.
    """
    of_patient = 1 + rng.poisson(design.images - 1, design.patients)
    who = np.repeat(np.arange(design.patients), of_patient)
    rate = design.positives / (design.patients * design.images)
    risk = rng.beta(2 * rate, 2 * (1 - rate), design.patients)
    labels = (rng.random(len(who)) < risk[who]).astype(float)
    common = (rng.normal(size=design.patients)[who] + rng.normal(size=len(who))) / 2
    networks = 2 * design.seeds
    distance = norm.ppf(design.auc) * np.sqrt(2) + design.seed_deviation * rng.normal(size=networks)
    own = np.sqrt(0.5) * rng.normal(size=(networks, len(who)))
    scores = distance[:, None] * labels + common + own
    return scores[:, :, None], labels[:, None], who


def truth(design: Design) -> float:
    """The mean AUC over seeds: of ``Φ((d + s z) / √2)`` over a standard normal ``z``."""
    return float(norm.cdf(norm.ppf(design.auc) / np.sqrt(1 + design.seed_deviation**2 / 2)))


def estimates(scores, labels, who, seed: str, replicates: int) -> list[Estimate]:
    resamples = Resamples(who, seed, replicates)
    units = resamples.units(labels)
    return [
        bootstrap(["finding"], resamples, [Ranking(each, labels, resamples)], units).finding("auc", "finding")
        for each in scores
    ]


def by_bootstrap(scores, labels, who, seed, design) -> tuple[Interval, Interval]:
    a, b = estimates(scores[[0, -1]], labels, who, seed, design.replicates)
    return a.interval(), paired_difference(a, b).interval


def by_delong(scores, labels, who, seed, design) -> tuple[Interval, Interval]:
    one_image = len(np.unique(who)) == len(who)
    fitted = auc_covariance(scores, labels, None if one_image else who)
    return fitted.interval(0, 0), fitted.difference(0, -1, 0)[1]


def by_systems(scores, labels, who, seed, design) -> tuple[Interval, Interval]:
    networks = estimates(scores, labels, who, seed, design.replicates)
    a, b = networks[: design.seeds], networks[design.seeds :]
    return combine_seeds(a).interval, compare_systems(a, b).interval


Intervals = Callable[..., tuple[Interval, Interval]]


def coverage(
    design: Design, methods: Sequence[Intervals], studies: int, least_positives: int = 30
) -> list[tuple[float, float]]:
    """Of each method: the share of studies whose intervals hold the true AUC, and the true difference (0).

    Studies with fewer than ``least_positives`` are drawn again.
    """
    rng, true = np.random.default_rng(1), truth(design)
    held = np.zeros((len(methods), 2))
    done = 0
    while done < studies:
        scores, labels, who = draw(rng, design)
        if labels.sum() < least_positives:
            continue
        for row, method in enumerate(methods):
            of_auc, of_difference = method(scores, labels, who, str(done), design)
            held[row] += of_auc.low <= true <= of_auc.high, of_difference.low <= 0 <= of_difference.high
        done += 1
    return [tuple(each) for each in (held / studies).tolist()]
