"""How much faster ``precision_f1`` is than a loop over scikit-learn, side by side.

Run ``python benchmarks/thresholds_speed.py``. Both find the thresholds of 14 findings on as many simulated
images as the NIH test list has; the thresholds are compared, then the times are printed as ratios.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_score

from cxrbench.thresholds.precision_f1 import PrecisionF1

FloatArray = NDArray[np.float64]
Fit = Callable[[FloatArray, FloatArray], list[float]]

IMAGES, FINDINGS = 25_596, 14
GRID = [round(0.10 + 0.05 * k, 2) for k in range(16)]
FLOOR = 0.30


def simulate() -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(0)
    labels = (rng.random((IMAGES, FINDINGS)) < np.geomspace(0.003, 0.2, FINDINGS)).astype(float)
    logits = rng.normal(-1.5, 1.0, labels.shape) + 1.8 * labels
    return 1 / (1 + np.exp(-logits)), labels


def loop(probabilities: FloatArray, labels: FloatArray) -> list[float]:
    """Scikit-learn's precision and F1 at every finding and step, as one would write it first."""
    thresholds = []
    for p, y in zip(probabilities.T, labels.T, strict=True):
        best, chosen = 0.0, 0.5
        for threshold in GRID:
            called = p >= threshold
            f1 = f1_score(y, called, zero_division=0)
            if precision_score(y, called, zero_division=0) >= FLOOR and f1 > best:
                best, chosen = f1, threshold
        thresholds.append(chosen)
    return thresholds


def ours(grid: Literal["steps", "scores"]) -> Fit:
    strategy = PrecisionF1(min_precision=FLOOR, grid=grid, infeasible="half")
    return lambda p, y: [point.threshold for point in strategy.fit(p, y, calibrated=False)]


def timed(fit: Fit, table: tuple[FloatArray, FloatArray], repeats: int) -> tuple[list[float], float]:
    """The thresholds and the median seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        thresholds = fit(*table)
        seconds.append(time.perf_counter() - started)
    return thresholds, statistics.median(seconds)


def main() -> None:
    table = simulate()
    expected, slow = timed(loop, table, 3)
    print(f"{FINDINGS} findings × {IMAGES:,} images")
    print(f"loop over scikit-learn, {len(GRID)} steps: {slow:8.3f} s")
    for fit, what in ((ours("steps"), f"{len(GRID)} steps"), (ours("scores"), "every observed score")):
        thresholds, fast = timed(fit, table, 9)
        same = ", the same thresholds" if thresholds == expected else ""
        print(f"precision_f1, {what}: {fast:.4f} s, {slow / fast:.0f} times as fast{same}")


if __name__ == "__main__":
    main()
