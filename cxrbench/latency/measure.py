"""The measuring itself: warm-up until stable, then samples by two clocks, all of which are kept."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

WINDOW = 10
"""Samples whose median is one look at whether the latency is stable."""

STABLE_WITHIN = 0.02
"""How far the medians of the last three windows may lie apart, of the smallest."""

LEAST = 30
"""Samples that are taken however long they take."""


@dataclass(frozen=True)
class WarmUp:
    """What came before the samples.

    Attributes:
        passes: how many there were.
        seconds: how long they took.
        stable: whether the latency had settled when they ended.
    """

    passes: int
    seconds: float
    stable: bool


@dataclass(frozen=True)
class Samples:
    """Latencies of single calls, in the order in which they were taken.

    Attributes:
        wall_ms: float64 ``[n]``, from before the call until its result is there, by the host's clock.
        device_ms: the same by CUDA events; None on a CPU.
    """

    wall_ms: FloatArray
    device_ms: FloatArray | None


def warm_up(call: Callable[[], object], cuda: bool, most_seconds: float = 20.0) -> WarmUp:
    """Call until the medians of three windows agree within 2 %, or time is up.

    What grows or shrinks steadily agrees in no three windows, whatever the two last do.
    """
    started = time.perf_counter()
    medians: list[float] = []
    passes = 0
    while True:
        found = []
        for _ in range(WINDOW):
            found.append(_timed(call, cuda))
            passes += 1
            if time.perf_counter() - started > most_seconds:
                return WarmUp(passes, time.perf_counter() - started, stable=False)
        medians.append(statistics.median(found))
        last = medians[-3:]
        if len(last) == 3 and max(last) - min(last) <= STABLE_WITHIN * min(last):
            return WarmUp(passes, time.perf_counter() - started, stable=True)


def sample(call: Callable[[], object], cuda: bool, most: int, seconds: float) -> Samples:
    """Time single calls: ``most``, or as many as fit into ``seconds``, and never fewer than 30.

    On CUDA each call is waited for, and timed by events on its stream too.
    """
    if cuda:
        return _sample_on_cuda(call, most, seconds)
    clock = time.perf_counter_ns
    stamps: list[int] = []
    ends = clock() + int(seconds * 1e9)
    while len(stamps) < most and (len(stamps) < LEAST or clock() < ends):
        started = clock()
        call()
        stamps.append(clock() - started)
    return Samples(np.array(stamps) / 1e6, None)


def _sample_on_cuda(call: Callable[[], object], most: int, seconds: float) -> Samples:
    wall: list[float] = []
    device: list[float] = []
    ends = time.perf_counter() + seconds
    before = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    after = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    torch.cuda.synchronize()
    while len(wall) < most and (len(wall) < LEAST or time.perf_counter() < ends):
        started = time.perf_counter_ns()
        before.record()
        call()
        after.record()
        after.synchronize()
        wall.append((time.perf_counter_ns() - started) / 1e6)
        device.append(before.elapsed_time(after))
    return Samples(np.array(wall), np.array(device))


def _timed(call: Callable[[], object], cuda: bool) -> float:
    started = time.perf_counter()
    call()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def outliers(samples: FloatArray) -> int:
    """How many samples lie over 1.5 interquartile ranges above the third quartile (Tukey); all are kept."""
    first, third = np.percentile(samples, (25, 75))
    return int((samples > third + 1.5 * (third - first)).sum())
