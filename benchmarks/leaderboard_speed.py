"""How long a leaderboard over 200 stored runs takes: the first time, and when nothing changed.

Run ``python benchmarks/leaderboard_speed.py``. The runs are of a temporary store, written through the store
as any run is, with figures of a real evaluation of simulated predictions and with random replicates, so that
making them takes little. Each time is of a whole process, and told as a multiple of ``cxrbench --help``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrbench.evaluation.figures import null_rows, overall, per_finding
from cxrbench.files import write_json
from cxrbench.findings import NIH_FINDINGS
from cxrbench.grid import described
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.specs import resolve
from cxrbench.store import RUN_STAGE, Step, Store
from cxrbench.task import Task

RUNS, SEEDS, REPLICATES, IMAGES = 200, 3, 1000, 2000
METRICS = ("macro_auc", "macro_ap", "macro_f1", "macro_brier", "macro_ece", "exact_match", "lrap")


def figures_of_a_run() -> dict[str, Any]:
    """Metrics and rows of findings as an evaluation writes them."""
    rng = np.random.default_rng(0)
    task = Task("multilabel", tuple(NIH_FINDINGS))
    labels = (rng.random((IMAGES, len(task.classes))) < 0.1).astype(float)
    probabilities = task.probabilities(rng.normal(size=labels.shape) + labels - 2)
    decisions = (probabilities > 0.3).astype(float)
    each = per_finding(task, labels, probabilities, decisions)
    each.insert(1, "threshold", 0.3)
    each.insert(2, "feasible", True)
    return {
        "metrics": overall(task, labels, probabilities, decisions, each),
        "per_finding": each.to_dict("records"),
        "null": null_rows(task, labels, labels),
        "calibration": {},
        "sanity": [],
        "intervals": {
            "resamples": "all",
            "metrics": {},
            "units": dict.fromkeys(METRICS, IMAGES),
            "per_finding": [{"finding": name, "units": IMAGES} for name in task.classes],
        },
    }


def write_evaluation(draws: np.random.Generator, findings: list[str], folder: Path) -> None:
    """Replicates of one run."""
    names = [*METRICS, *(f"{figure}:{name}" for figure in ("auc", "ap", "f1") for name in findings)]
    values = draws.normal(0.8, 0.01, (REPLICATES, len(names))).astype(np.float32)
    pd.DataFrame(values, columns=names).to_parquet(folder / "replicates.parquet")


def fill(store: Store) -> None:
    """Put the runs into the store: systems of three seeds."""
    registry, figures = installed().registry, figures_of_a_run()
    findings = [row["finding"] for row in figures["per_finding"]]
    passport = {
        "id": "0" * 12,
        "dataset": "simulated",
        "label_version": "1",
        "labels": "1",
        "images": {"test": IMAGES},
        "patients": {"test": IMAGES},
        "shared_patients": {},
        "tune": "tune",
    }
    for place in range(RUNS):
        system, seed = divmod(place, SEEDS)
        draws = np.random.default_rng(place)
        evaluation = Step("evaluate", {"place": place})
        store.ensure(evaluation, partial(write_evaluation, draws, findings))
        spec = resolve({"dataset": "phantom", "seed": seed}, registry)
        told = described(spec, registry)
        told["spec"]["backbone"] = {"name": f"network {system}", "options": {}}
        step = Step(RUN_STAGE, {}, (evaluation,), label=f"run-{place}")
        shift = draws.normal(0.001 * system, 0.002)
        record = {
            "schema_version": 1,
            "run_id": step.name,
            **told,
            "backbone": f"network {system}",
            "parameters": 1_000_000,
            "training_seconds": 60.0,
            "passport": passport,
            "created": "2026-01-01T00:00:00+00:00",
            **figures,
            "metrics": {**figures["metrics"], "macro_auc": 0.75 + shift},
            "evaluation": f"artifacts/{evaluation.id}",
            "artifacts": [evaluation.id],
        }
        store.ensure(step, lambda folder, record=record: write_json(folder / "run.json", record))


def seconds(*arguments: str) -> float:
    """Of a whole process."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "cxrbench", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        started = time.perf_counter()
        fill(Store(root, Reporter(quiet=True)))
        print(f"{RUNS} runs of {-(-RUNS // SEEDS)} systems, written in {time.perf_counter() - started:.1f} s")
        help_seconds = min(seconds("--help") for _ in range(3))
        asked = ("leaderboard", "--results", str(root))
        cold = seconds(*asked)
        warm = min(seconds(*asked) for _ in range(3))
        for name, found in (("the first time", cold), ("nothing changed", warm)):
            print(f"{name}: {found:.2f} s, {found / help_seconds:.1f} times 'cxrbench --help'")


if __name__ == "__main__":
    main()
