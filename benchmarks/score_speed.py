"""How long ``cxrbench score`` takes on predictions of NIH's size, and what of it is evaluation.

Run ``python benchmarks/score_speed.py``. A CSV file of 112,120 × 14 simulated probabilities and its label
table are scored in a process of its own, from the command to the published run, and its peak memory is
read. Its peer, in the same run: pandas reading the file and scikit-learn's AUC and AP of each finding, once.
The steps' own times are those that the store records.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrbench.findings import NIH_FINDINGS

IMAGES, PATIENTS = 112_120, 30_805


def write(folder: Path) -> tuple[Path, Path]:
    """Predictions and labels of as many images and patients as NIH ChestX-ray14 has."""
    rng = np.random.default_rng(0)
    shares = np.geomspace(0.002, 0.18, len(NIH_FINDINGS))
    labels = rng.random((IMAGES, len(NIH_FINDINGS))) < shares
    logits = rng.normal(size=labels.shape) + 1.2 * labels + np.log(shares)
    patients = np.sort(rng.integers(0, PATIENTS, IMAGES))
    ids = [f"{patient:08d}_{row:06d}.png" for row, patient in enumerate(patients)]
    strings = ["|".join(np.compress(row, NIH_FINDINGS)) or "No Finding" for row in labels]
    table = pd.DataFrame({"Image Index": ids, "Finding Labels": strings, "Patient ID": patients})
    # As they vary, figures of subgroups are resampled too.
    table["Patient Age"] = rng.integers(1, 95, PATIENTS)[patients]
    table["Patient Gender"] = rng.choice(["F", "M"], PATIENTS)[patients]
    table["View Position"] = rng.choice(["PA", "AP"], IMAGES)
    table.to_csv(folder / "Data_Entry_2017.csv", index=False)
    scores = pd.DataFrame(1 / (1 + np.exp(-logits)), index=ids, columns=list(NIH_FINDINGS))
    scores.rename_axis("Image Index").astype("float32").to_csv(folder / "scores.csv")
    np.save(folder / "labels.npy", labels)
    return folder / "scores.csv", folder / "Data_Entry_2017.csv"


def ours(scores: Path, labels: Path, results: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of the command, in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "cxrbench",
        "score",
        scores,
        "--labels",
        labels,
        "--results",
        results,
        "-q",
    ]
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("cxrbench score failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def peer(scores: Path) -> float:
    """Seconds that reading the file and scikit-learn's two figures of each finding take."""
    started = time.perf_counter()
    table = pd.read_csv(scores, index_col=0).to_numpy()
    labels = np.load(scores.with_name("labels.npy"))
    for column in range(table.shape[1]):
        roc_auc_score(labels[:, column], table[:, column])
        average_precision_score(labels[:, column], table[:, column])
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scores, labels = write(folder)
        once = peer(scores)
        seconds, megabytes = ours(scores, labels, folder / "results")
        print(f"score: {IMAGES:,} × {len(NIH_FINDINGS)} in {seconds:.1f} s, {megabytes:.0f} MB at its peak")
        peers = f"pandas and scikit-learn once, without intervals: {once:.1f} s"
        print(f"  against {peers} ({seconds / once:.1f} ×)")
        artifacts = folder.glob("results/artifacts/*/*/artifact.json")
        records = [json.loads(path.read_text()) for path in artifacts]
        steps = sorted(((record["seconds"], record["stage"]) for record in records), reverse=True)
        for taken, stage in steps[:5]:
            print(f"  {stage}: {taken:.1f} s")


if __name__ == "__main__":
    main()
