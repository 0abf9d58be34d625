"""Percentiles of latencies, with intervals, and whether there are samples enough for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

PERCENTILES = (50, 90, 95, 99)
LEVEL = 0.95
"""Of the bootstrap intervals."""

CONFIDENCE = 0.99
"""Of MLPerf's rule."""

_REPLICATES = 1000


@dataclass(frozen=True, slots=True)
class Percentile:
    """One percentile of a latency, in the samples' unit.

    Attributes:
        percent: such as 99.
        value: of the samples.
        low: lower end of its 95% interval, from resampled blocks of consecutive samples.
        high: upper end.
        supported: whether there are samples enough by MLPerf's rule, see :func:`samples_needed`.
        needed: how many samples that rule asks for.
        bound: what the percentile is at most, with confidence .99; NaN where it is not supported.
    """

    percent: int
    value: float
    low: float
    high: float
    supported: bool
    needed: int
    bound: float


def percentiles(samples: FloatArray) -> list[Percentile]:
    """Percentiles 50, 90, 95 and 99 of samples ``[n]`` in the order in which they were taken.

    All samples count; nothing is taken for an outlier.
    """
    low, high = _intervals(samples)
    return [
        _percentile(samples, percent, float(low[row]), float(high[row]))
        for row, percent in enumerate(PERCENTILES)
    ]


def samples_needed(percent: float) -> int:
    """The least samples that bound a percentile with confidence .99, one of them lying above it.

    MLPerf Inference's early stopping ("MLPerf Inference Rules", appendix on early stopping): the p-th
    percentile of ``n`` samples is bounded by the ``t``-th largest where at most ``t`` of ``n`` draws above
    the percentile have probability 1 - .99 or less, ``P(Binomial(n, 1 - p) <= t) <= .01``, for some
    ``t >= 1``. It asks for 64 samples for the 90th and 662 for the 99th percentile.
    """
    n = 2
    while _above(n, percent) < 1:
        n += 1
    return n


def _above(n: int, percent: float) -> int:
    """The largest ``t`` of MLPerf's rule, below 1 where there is none."""
    share = 1 - percent / 100
    above = -1
    while above + 1 < n and special.bdtr(above + 1, n, share) <= 1 - CONFIDENCE:
        above += 1
    return above


def upper_bound(samples: FloatArray, percent: float) -> float:
    """What a percentile is at most, with confidence .99, by the rule of :func:`samples_needed`.

    NaN where there are too few samples for it.
    """
    above = _above(len(samples), percent)
    return float(np.sort(samples)[-above]) if above >= 1 else float("nan")


def _percentile(samples: FloatArray, percent: int, low: float, high: float) -> Percentile:
    value, needed = float(np.percentile(samples, percent)), samples_needed(percent)
    bound = upper_bound(samples, percent)
    return Percentile(percent, value, low, high, len(samples) >= needed, needed, bound)


def _intervals(samples: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends ``[4]`` of percentile intervals from a circular block bootstrap.

    Consecutive latencies resemble each other, so blocks of ``n^(1/3)`` are drawn (Politis and Romano, "A
    Circular Block-Resampling Procedure for Stationary Data", 1992; the length after Hall, Horowitz and Jing,
    "On Blocking Rules for the Bootstrap with Dependent Data", 1995).
    """
    n = len(samples)
    if n < 2:
        nothing = np.full(len(PERCENTILES), np.nan)
        return nothing, nothing
    length = max(1, round(n ** (1 / 3)))
    rng = np.random.default_rng(0)
    starts = rng.integers(0, n, (_REPLICATES, -(-n // length)))
    rows = (starts[..., None] + np.arange(length)).reshape(_REPLICATES, -1)[:, :n] % n
    found = np.percentile(samples[rows], PERCENTILES, axis=1)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(found, (tail, 100 - tail), axis=1)
    return low, high
