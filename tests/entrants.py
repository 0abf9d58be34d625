"""Simulated systems in a real store: what leaderboards are tested on, since the truth about them is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrbench.canonical import digest
from cxrbench.files import write_json
from cxrbench.interfaces import OperatingPoint
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.grid import described
from cxrbench.specs import resolve
from cxrbench.stages import evaluate
from cxrbench.statistics.bootstrap import bootstrap
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Ranking
from cxrbench.store import RUN_STAGE, Step, Store
from cxrbench.task import Task

FINDINGS = ("Atelectasis", "Effusion", "Pneumothorax")
REPLICATES = 400


@dataclass(frozen=True)
class TestSet:
    """Patients with three images each, and what their images show."""

    __test__ = False

    name: str
    patients: int = 150
    findings: tuple[str, ...] = FINDINGS

    @cached_property
    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(int(digest(self.name)[:8], 16))

    @cached_property
    def owners(self) -> Any:
        return np.repeat(np.arange(self.patients), 3)

    @cached_property
    def labels(self) -> Any:
        return (self._rng.random((len(self.owners), len(self.findings))) < 0.25).astype(np.float64)

    @cached_property
    def difficulty(self) -> Any:
        return self._rng.normal(size=self.labels.shape)

    def passport(self, tune: str = "tune") -> dict[str, Any]:
        counts = {role: self.patients for role in ("train", "val", "tune", "test")}
        return {
            "id": digest(self.name)[:12],
            "dataset": self.name,
            "roles": "r",
            "label_version": "1",
            "labels": "l",
            "images": {role: 3 * count for role, count in counts.items()},
            "patients": counts,
            "shared_patients": {"train/test": 0, "tune/test": 0},
            "tune": tune,
            "drawn": False,
        }


def enter(
    store: Store,
    test_set: TestSet,
    backbone: str,
    signal: float,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    between: float = 0.05,
    tune: str = "tune",
    sanity: Sequence[dict[str, str]] = (),
    replicates: bool = True,
    created: str = "2026-01-01T00:00:00+00:00",
) -> list[str]:
    """Put the runs of a system into the store; their ids.

    Args:
        signal: how far scores of positives lie above those of negatives.
        between: standard deviation of that over seeds.
    """
    registry = installed().registry
    task = Task("multilabel", test_set.findings)
    resamples = Resamples(test_set.owners, test_set.passport()["id"], REPLICATES)
    ids = []
    for seed in seeds:
        rng = np.random.default_rng(int(digest([backbone, seed])[:8], 16))
        lifted = test_set.labels * (signal + between * rng.normal())
        noise = test_set.difficulty + 0.4 * rng.normal(size=test_set.labels.shape)
        probabilities = 1 / (1 + np.exp(1.5 - lifted - noise))
        points = {name: OperatingPoint(threshold=0.4, feasible=True, reason="") for name in test_set.findings}

        def make(folder: Path) -> None:
            evaluate.run(
                folder,
                task,
                pd.Index([f"{k:05d}.png" for k in range(len(test_set.labels))]),
                test_set.labels,
                installed_rule(),
                probabilities,
                points,
                {"none": probabilities},
                {"none": len(test_set.findings)},
                test_set.labels,
            )
            if replicates:
                drawn = bootstrap(
                    test_set.findings, resamples, [Ranking(probabilities, test_set.labels, resamples)]
                )
                columns = {"macro_auc": drawn.macro("auc").replicates}
                columns |= {
                    f"auc:{name}": drawn.finding("auc", name).replicates for name in test_set.findings
                }
                pd.DataFrame(columns, dtype=np.float32).to_parquet(folder / "replicates.parquet")

        inputs = {"system": backbone, "seed": seed, "test": test_set.name, "new": replicates}
        evaluation = store.ensure(Step("evaluate", inputs), make)
        spec = resolve({"dataset": "phantom", "seed": seed, "tune": tune}, registry)
        record = described(spec, registry) | {"backbone": backbone}
        record["spec"]["backbone"] = {"name": backbone, "options": {}}
        step = Step(RUN_STAGE, {"tune": tune}, (Step("evaluate", inputs),), label=f"run-s{seed}")

        def publish(folder: Path) -> None:
            from cxrbench.files import read_json

            figures = read_json(evaluation.folder / "metrics.json")
            intervals = {"metrics": {}, "per_finding": [], "resamples": resamples.identity}
            write_json(
                folder / "run.json",
                {
                    "schema_version": 1,
                    "run_id": step.name,
                    **record,
                    "parameters": 1_000_000,
                    "training_seconds": 60.0,
                    "passport": test_set.passport(tune),
                    "trained_on": {"dataset": "phantom", "drawn": True, "labels": "l", "label_version": "1"},
                    "created": created,
                    **figures,
                    **({"sanity": list(sanity), "intervals": intervals} if replicates else {}),
                    "artifacts": [evaluation.id],
                },
            )

        store.ensure(step, publish)
        ids.append(step.name)
    return ids


def installed_rule() -> Any:
    from cxrbench.decisions.none import NoRule

    return NoRule()


def store_at(path: Path) -> Store:
    return Store(path, Reporter(quiet=True))
