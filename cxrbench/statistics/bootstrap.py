"""Bootstrap replicates of every figure of every finding, to be stored and subtracted."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from threadpoolctl import ThreadpoolController

from cxrbench.processors import processors
from cxrbench.statistics.intervals import Interval, percentile_interval

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray
    from cxrbench.statistics.resamples import Resamples
    from cxrbench.statistics.weighted import Statistic

_MOST_THREADS = 8
"""More would need more memory than they save time."""


@dataclass(frozen=True)
class Estimate:
    """One figure with its replicates.

    Attributes:
        value: on the whole test set; NaN where undefined.
        replicates: float64 ``[B]``, on each resample; NaN where undefined.
        seed: the identity of the resamples, see :class:`cxrbench.statistics.resamples.Resamples`.
        findings: whose average it is.
        units: how many patients it rests on where they are fewest; infinite where that is not known.
    """

    value: float
    replicates: FloatArray
    seed: str
    findings: tuple[str, ...]
    units: float = math.inf

    def interval(self, level: float = 0.95) -> Interval:
        """Percentile interval over resampled patients; it holds no other source of variance."""
        return percentile_interval(self.replicates, level, self.units)


@dataclass(frozen=True)
class Replicates:
    """Figures of each finding, on the whole test set and on each resample of its patients.

    Attributes:
        metrics: names ``[m]``.
        findings: names ``[c]``.
        values: float64 ``[m, c]``, on the whole set.
        replicates: float64 ``[m, c, B]``, on each resample; NaN where undefined.
        seed: the identity of the resamples, see :class:`cxrbench.statistics.resamples.Resamples`.
        units: float64 ``[c]``, how many patients each finding's figures rest on where they are fewest.
    """

    metrics: tuple[str, ...]
    findings: tuple[str, ...]
    values: FloatArray
    replicates: FloatArray
    seed: str
    units: FloatArray

    def finding(self, metric: str, finding: str) -> Estimate:
        """One figure of one finding."""
        place = self.metrics.index(metric), self.findings.index(finding)
        units = float(self.units[place[1]])
        return Estimate(float(self.values[place]), self.replicates[place], self.seed, (finding,), units)

    def defined(self, metric: str) -> tuple[str, ...]:
        """The findings whose figure is defined on the whole set."""
        undefined = np.isnan(self.values[self.metrics.index(metric)])
        return tuple(name for name, gone in zip(self.findings, undefined, strict=True) if not gone)

    def macro(self, metric: str, findings: Sequence[str] | None = None) -> Estimate:
        """Mean over findings, the same ones in every replicate.

        Args:
            metric: its name.
            findings: which; by default those that are defined on the whole set. A replicate in which one of
                them is undefined is undefined: an average over the rest would be another figure, and which
                one would change from resample to resample.

        Returns:
            NaN where there is no finding.
        """
        chosen = self.defined(metric) if findings is None else tuple(findings)
        row, columns = self.metrics.index(metric), [self.findings.index(name) for name in chosen]
        if not columns:
            nothing = np.full(self.replicates.shape[2], np.nan)
            return Estimate(float("nan"), nothing, self.seed, ())
        replicates: FloatArray = self.replicates[row, columns].mean(axis=0)
        units = _units_of_mean(self.replicates[row, columns], self.units[columns])
        return Estimate(float(self.values[row, columns].mean()), replicates, self.seed, chosen, units)

    def save(self, path: Path) -> None:
        """Write to a safetensors file; replicates in float32, which is finer than they are certain."""
        names = {"metrics": list(self.metrics), "findings": list(self.findings), "seed": self.seed}
        save_file(
            {
                "values": self.values,
                "replicates": self.replicates.astype(np.float32),
                "units": self.units,
            },
            path,
            metadata={"names": json.dumps(names)},
        )

    @classmethod
    def load(cls, path: Path) -> Replicates:
        """Read what :meth:`save` wrote."""
        with safe_open(path, framework="numpy") as file:
            names = json.loads(file.metadata()["names"])
            values, replicates, units = (file.get_tensor(key) for key in ("values", "replicates", "units"))
        return cls(
            tuple(names["metrics"]),
            tuple(names["findings"]),
            values,
            replicates.astype(np.float64),
            names["seed"],
            units,
        )


def bootstrap(
    findings: Sequence[str],
    resamples: Resamples,
    statistics: Sequence[Statistic],
    units: FloatArray | None = None,
) -> Replicates:
    """Compute statistics on the whole test set and on every resample of its patients.

    Some replicates at a time are computed on each processor, so the memory needed beside the result stays
    small.

    Args:
        findings: names ``[c]`` of the classes of the statistics.
        resamples: which patients are drawn.
        statistics: prepared with the same resamples, see :mod:`cxrbench.statistics.weighted`.
        units: ``[c]``, :meth:`cxrbench.statistics.resamples.Resamples.units` of the labels, by which
            intervals of few patients are widened; None leaves them as they are.

    Returns:
        The figures of all statistics, in their order.
    """
    names = tuple(name for statistic in statistics for name in statistic.names)
    replicates = np.empty((len(names), len(findings), resamples.replicates))

    def compute(start: int) -> None:
        weights = resamples.drawn(start)
        for_them = slice(start, start + weights.shape[1])
        replicates[:, :, for_them] = np.concatenate([each(weights) for each in statistics])

    # Threads suffice: NumPy and SciPy let go of the interpreter while they compute.
    # BLAS is to add none of its own.
    pool = ThreadPoolExecutor(min(processors(), _MOST_THREADS))
    with _libraries().limit(limits=1, user_api="blas"), pool as threads:
        list(threads.map(compute, resamples.starts))
    once = np.ones((resamples.clusters, 1))
    values = np.concatenate([each(once) for each in statistics])[:, :, 0]
    if units is None:
        units = np.full(len(findings), np.inf)
    return Replicates(names, tuple(findings), values, replicates, resamples.identity, units)


@cache
def _libraries() -> ThreadpoolController:
    """Those that compute in threads of their own: looking for them takes as long as a small bootstrap."""
    return ThreadpoolController()


def _units_of_mean(replicates: FloatArray, units: FloatArray) -> float:
    """Of a mean over findings with replicates ``[c, B]``: the units that Satterthwaite's formula gives it.

    A finding counts by its variance, so a single rare one with a wide spread decides.
    """
    defined = ~np.isnan(replicates).any(axis=0)
    variances = replicates[:, defined].var(axis=1) if defined.any() else np.zeros(len(units))
    freedom = float((variances**2 / np.maximum(units - 1, 1)).sum())
    return float(variances.sum() ** 2 / freedom) + 1 if freedom > 0 else math.inf
