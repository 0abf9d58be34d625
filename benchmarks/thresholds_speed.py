"""How much faster ``precision_f1`` and ``youden`` are than loops over scikit-learn, side by side.

Run ``python benchmarks/thresholds_speed.py``. Both find the thresholds of 14 findings on as many simulated
images as the NIH test list has; the thresholds are compared, then the times are printed as ratios. How long
bootstrap intervals of thresholds take is printed too.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_score, roc_curve

from cxrbench.interfaces import ThresholdStrategy
from cxrbench.statistics.threshold_intervals import threshold_replicates
from cxrbench.thresholds.precision_f1 import PrecisionF1
from cxrbench.thresholds.youden import Youden

FloatArray = NDArray[np.float64]
Fit = Callable[[FloatArray, FloatArray], list[float]]

Table = tuple[FloatArray, FloatArray]

IMAGES, FINDINGS = 25_596, 14
TUNE = 11_000
GRID = [round(0.10 + 0.05 * k, 2) for k in range(16)]
FLOOR = 0.30


def simulate() -> Table:
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


def loop_of_curves(probabilities: FloatArray, labels: FloatArray) -> list[float]:
    """Youden's threshold of each finding from scikit-learn's ROC curve."""
    thresholds = []
    for p, y in zip(probabilities.T, labels.T, strict=True):
        fpr, tpr, at = roc_curve(y, p)
        thresholds.append(float(at[(tpr - fpr).argmax()]))
    return thresholds


def search(grid: Literal["steps", "scores"]) -> ThresholdStrategy:
    return PrecisionF1(min_precision=FLOOR, grid=grid, infeasible="half")


def ours(strategy: ThresholdStrategy) -> Fit:
    return lambda p, y: [point.threshold for point in strategy.fit(p, y, calibrated=False)]


def timed(fit: Fit, table: Table, repeats: int) -> tuple[list[float], float]:
    """The thresholds and the median seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        thresholds = fit(*table)
        seconds.append(time.perf_counter() - started)
    return thresholds, statistics.median(seconds)


def compare(name: str, strategy: ThresholdStrategy, expected: list[float], slow: float, table: Table) -> None:
    thresholds, fast = timed(ours(strategy), table, 15)
    same = ", the same thresholds" if thresholds == expected else ""
    print(f"{name}: {fast:.4f} s, {slow / fast:.1f} times as fast{same}")


def main() -> None:
    table = simulate()
    print(f"{FINDINGS} findings × {IMAGES:,} images")
    expected, slow = timed(loop, table, 3)
    print(f"loop over scikit-learn's precision and F1, {len(GRID)} steps: {slow:.3f} s")
    compare(f"precision_f1, {len(GRID)} steps", search("steps"), expected, slow, table)
    compare("precision_f1, every observed score", search("scores"), expected, slow, table)
    expected, slow = timed(loop_of_curves, table, 15)
    print(f"loop over scikit-learn's ROC curves: {slow:.3f} s")
    compare("youden", Youden(), expected, slow, table)
    tune = tuple(each[:TUNE] for each in table)
    for name, strategy in (("precision_f1 in steps", search("steps")), ("youden", Youden())):
        started = time.perf_counter()
        threshold_replicates(strategy, *tune, np.arange(TUNE) // 3, calibrated=False, seed="a")
        seconds = time.perf_counter() - started
        print(f"200 bootstrap replicates of the thresholds of {name}, {TUNE:,} images: {seconds:.1f} s")


if __name__ == "__main__":
    main()
