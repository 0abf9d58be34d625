"""How much faster bootstrap replicates of AUCs are than a loop over scikit-learn, side by side.

Run ``python benchmarks/bootstrap_speed.py``. Both compute the AUCs of 14 findings on resamples of patients:
of the stored predictions in ``$CXRBENCH_TEST_DATA/predictions/casp_official`` where there are any, or of
simulated scores for as many images and patients. The loop computes the first resamples only, which are
compared; its time for all of them is extrapolated, and said to be so.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cxrbench.statistics.bootstrap import bootstrap
from cxrbench.statistics.ranking import auc
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Ranking

Table = tuple[NDArray[np.floating], NDArray[np.floating], NDArray[np.int64]]

IMAGES, PATIENTS, FINDINGS = 25_596, 2_797, 14
REPLICATES, LOOPED = 1000, 8


def simulate() -> Table:
    """Scores without ties, labels and patients, of the size of NIH's test list."""
    rng = np.random.default_rng(0)
    labels = (rng.random((IMAGES, FINDINGS)) < np.geomspace(0.003, 0.24, FINDINGS)).astype(float)
    return rng.normal(size=labels.shape) + labels, labels, rng.integers(0, PATIENTS, IMAGES)


def stored() -> dict[str, Table]:
    """The stored predictions by name of file; none where there are none."""
    folder = Path(os.environ.get("CXRBENCH_TEST_DATA", "")) / "predictions/casp_official"
    tables = {}
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as file:
            tables[path.stem] = file["test_logits"], file["test_labels"], file["test_patient"]
    return tables


def ours(table: Table) -> NDArray[np.float64]:
    """AUC (and average precision) of every resample; the AUCs ``[c, B]``."""
    scores, labels, patients = table
    resamples = Resamples(patients, "benchmark", REPLICATES)
    ranking = Ranking(scores, labels, resamples)
    return bootstrap([str(c) for c in range(FINDINGS)], resamples, [ranking]).replicates[0]


def loop(table: Table) -> NDArray[np.float64]:
    """Scikit-learn's AUC of every finding of the first resamples, images repeated as often as drawn."""
    scores, labels, patients = table
    resamples = Resamples(patients, "benchmark", LOOPED)
    aucs = np.empty((FINDINGS, LOOPED))
    (weights,) = resamples.weights()
    for b in range(LOOPED):
        chosen = np.repeat(np.arange(len(labels)), weights[resamples.rows, b].astype(int))
        for c in range(FINDINGS):
            aucs[c, b] = roc_auc_score(labels[chosen, c], scores[chosen, c])
    return aucs


def once_equals_auc(table: Table) -> bool:
    """Whether weights of 1 give the very point estimates."""
    scores, labels, patients = table
    resamples = Resamples(patients, "benchmark", 1)
    whole = Ranking(scores, labels, resamples)(np.ones((resamples.clusters, 1)))[0, :, 0]
    return bool((whole == auc(scores, labels)).all())


def report(name: str, table: Table) -> None:
    fast_seconds, slow_seconds = [], []
    for _ in range(3):
        started = time.perf_counter()
        fast = ours(table)
        fast_seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
        slow = loop(table)
        slow_seconds.append((time.perf_counter() - started) / LOOPED * REPLICATES)
    ours_s, theirs_s = statistics.median(fast_seconds), statistics.median(slow_seconds)
    print(
        f"{name}: {ours_s:.2f} s, {theirs_s / ours_s:.0f} times as fast as scikit-learn's {theirs_s:.0f} s "
        f"(extrapolated from {LOOPED} replicates); largest gap {np.abs(fast[:, :LOOPED] - slow).max():.0e}; "
        f"point estimates {'identical' if once_equals_auc(table) else 'DIFFER'}"
    )


def main() -> None:
    print(f"{REPLICATES:,} replicates × {FINDINGS} findings × {IMAGES:,} images, AUC and average precision")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours(table := simulate())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(
        f"peak memory: {(before + grown) / 1024:.0f} MB, {grown / 1024:.0f} MB of it for data and replicates"
    )
    report("simulated", table)
    for name, predictions in list(stored().items())[:1]:
        report(name, predictions)


if __name__ == "__main__":
    main()
