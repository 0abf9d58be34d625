"""Metrics of predictions that were evaluated: figures that somebody asks for beside those of every run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.evaluation.replicates import REPLICATES
from cxrbench.options import Use, non_default
from cxrbench.processors import processors
from cxrbench.registry import Registry
from cxrbench.statistics.bootstrap import Estimate
from cxrbench.statistics.resamples import Resamples

if TYPE_CHECKING:
    from cxrbench.evaluation.cohort import Cohort
    from cxrbench.interfaces import FloatArray, Metric

_MOST_THREADS = 8
"""Each holds a resampled test set."""


def figure_name(use: Use, registry: Registry) -> str:
    """What a metric's figure is called: its name and the options that are not at their defaults.

    Such as ``f_beta@beta=1.0``: no ``:``, which stands before a finding in names of figures.
    """
    options = non_default(registry.find("metric", use.name), use.options)
    given = ",".join(f"{key}={value}" for key, value in options.items())
    return f"{use.name}@{given}" if given else use.name


def estimate_asked(
    metric: Metric,
    cohort: Cohort,
    probabilities: FloatArray,
    decisions: FloatArray,
    replicates: int = REPLICATES,
) -> Estimate:
    """A metric on a test set and on resamples of its patients, the same as every other figure's.

    Args:
        metric: called once for each resample, with images as often as their patient is drawn.
        cohort: the test set.
        probabilities: ``[n, c]``.
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        replicates: how many resamples.
    """
    resamples = Resamples(cohort.patients.to_numpy(), cohort.passport, replicates)
    places = np.arange(len(cohort.labels))

    def values(start: int) -> list[float]:
        drawn = resamples.drawn(start)[resamples.rows].astype(np.int64)
        found = []
        for times in drawn.T:
            rows = np.repeat(places, times)
            found.append(float(metric.value(cohort.labels[rows], probabilities[rows], decisions[rows])))
        return found

    with ThreadPoolExecutor(min(processors(), _MOST_THREADS)) as threads:
        parts = list(threads.map(values, resamples.starts))
    return Estimate(
        float(metric.value(cohort.labels, probabilities, decisions)),
        np.concatenate(parts),
        resamples.identity,
        cohort.task.classes,
        float(resamples.clusters),
    )
