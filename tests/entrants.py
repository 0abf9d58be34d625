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
from cxrbench.decisions.none import NoRule
from cxrbench.evaluation.cohort import Cohort
from cxrbench.files import read_json, write_json
from cxrbench.grid import described
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.specs import resolve
from cxrbench.stages import evaluate
from cxrbench.stages.threshold import Point
from cxrbench.store import RUN_STAGE, Step, Store
from cxrbench.task import Task

FINDINGS = ("Atelectasis", "Effusion", "Pleural_Thickening")
IMAGES_EACH = 3


@dataclass(frozen=True)
class Hospital:
    """A test set of patients with three images each; which of them are hard is the same for all systems."""

    name: str
    patients: int = 120
    findings: tuple[str, ...] = FINDINGS

    @cached_property
    def cohort(self) -> Cohort:
        rng = np.random.default_rng(_number(self.name))
        count = self.patients * IMAGES_EACH
        ids = pd.Index([f"{k:06d}.png" for k in range(count)])
        facts = {
            "age": rng.integers(20, 80, count).astype(np.float64),
            "sex": rng.choice(["F", "M"], count),
            "view": rng.choice(["PA", "AP"], count),
        }
        return Cohort(
            task=Task("multilabel", self.findings),
            passport=digest(self.name)[:12],
            labels=(rng.random((count, len(self.findings))) < 0.25).astype(np.float64),
            patients=pd.Series(np.repeat(np.arange(self.patients), IMAGES_EACH).astype(str), ids),
            facts=pd.DataFrame(facts, index=ids),
        )

    @cached_property
    def difficulty(self) -> Any:
        return np.random.default_rng(_number(self.name) + 1).normal(size=self.cohort.labels.shape)

    def logits(self, system: str, seed: int, signal: float, between: float) -> Any:
        """Those of positives lie ``signal`` higher, give or take ``between`` from seed to seed."""
        rng = np.random.default_rng(_number(f"{system} {seed}"))
        lifted = self.cohort.labels * (signal + between * rng.normal())
        return lifted + self.difficulty + 0.4 * rng.normal(size=lifted.shape) - 1.5

    def passport(self, tune: str) -> dict[str, Any]:
        images, patients = self.patients * IMAGES_EACH, self.patients
        roles = ("train", "val", "tune", "test")
        return {
            "id": self.cohort.passport,
            "dataset": self.name,
            "roles": "roles",
            "label_version": "1",
            "labels": "labels",
            "images": dict.fromkeys(roles, images),
            "patients": dict.fromkeys(roles, patients),
            "shared_patients": {"train/test": 0, "tune/test": 0},
            "tune": tune,
            "drawn": False,
        }


def enter(
    store: Store,
    hospital: Hospital,
    system: str,
    signal: float,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    between: float = 0.02,
    tune: str = "tune",
    sanity: Sequence[str] = (),
    old: bool = False,
    created: str = "2026-01-01T00:00:00+00:00",
    **record: Any,
) -> list[str]:
    """Put the runs of a system into the store, evaluated as any run is.

    Args:
        store: where to.
        hospital: the test set.
        system: its name, as that of its backbone.
        signal: how far logits of positives lie above those of negatives.
        seeds: of which there is a run each.
        between: standard deviation of the signal over seeds.
        tune: the role that thresholds were fitted on.
        sanity: reasons why the runs are not sound.
        old: as evaluated before there were replicates.
        created: when.
        record: more of ``run.json``.

    Returns:
        The ids of the runs.
    """
    return [
        _enter(
            store,
            hospital,
            hospital.logits(system, seed, signal, between),
            {"system": system, "seed": seed, "old": old, "created": created},
            {"tune": tune, "created": created, "sanity": sanity, **record},
        )
        for seed in seeds
    ]


def _enter(
    store: Store, hospital: Hospital, logits: Any, inputs: dict[str, Any], record: dict[str, Any]
) -> str:
    evaluation = Step("evaluate", {**inputs, "test": hospital.name})
    run = Step(RUN_STAGE, {"tune": record["tune"]}, (evaluation,), label=f"run-s{inputs['seed']}")

    def make(folder: Path) -> None:
        _evaluate(folder, hospital, logits)
        if inputs["old"]:
            for path in folder.iterdir():
                if path.name in ("replicates.parquet", "curves.json", "subgroups.csv"):
                    path.unlink()

    store.ensure(evaluation, make)

    def publish(folder: Path) -> None:
        found = read_json(store.folder(evaluation.id) / "metrics.json")
        if inputs["old"]:
            for name in ("intervals", "sanity", "subgroups", "optimism", "prior_shift"):
                found.pop(name)
        elif record["sanity"]:
            found["sanity"] = [{"check": "untrained", "reason": reason} for reason in record["sanity"]]
        spec = resolve(
            {"dataset": "phantom", "seed": inputs["seed"], "tune": record["tune"]}, installed().registry
        )
        told = described(spec, installed().registry)
        told["spec"]["backbone"] = {"name": inputs["system"], "options": {}}
        write_json(
            folder / "run.json",
            {
                "schema_version": 1,
                "run_id": run.name,
                **told,
                "backbone": inputs["system"],
                "parameters": 6_968_206,
                "training_seconds": 4321.0,
                "passport": hospital.passport(record["tune"]),
                "trained_on": {"dataset": "phantom", "drawn": True, "label_version": "1", "labels": "l"},
                **found,
                **({} if inputs["old"] else {"evaluation": f"artifacts/{evaluation.id}"}),
                "artifacts": [evaluation.id],
                **{name: value for name, value in record.items() if name != "sanity"},
            },
        )
        epochs = {"epoch": [1, 2, 3], "train_loss": [0.6, 0.5, 0.45], "val_loss": [0.6, 0.52, 0.53]}
        epochs |= {"macro_auc": [0.6, 0.7, 0.69], "best": [True, True, False]}
        pd.DataFrame(epochs).to_csv(folder / "epochs.csv", index=False)

    return store.ensure(run, publish).folder.name


def _evaluate(folder: Path, hospital: Hospital, logits: Any) -> None:
    cohort = hospital.cohort
    probabilities = cohort.task.probabilities(logits)
    point = Point(threshold=0.4, low=0.3, high=0.5, feasible=True, reason="")
    evaluate.run(
        folder,
        cohort,
        NoRule(),
        dict.fromkeys(hospital.findings, point),
        logits,
        {"none": probabilities},
        "none",
        {"none": len(hospital.findings)},
        cohort.labels,
        probabilities,
        10,
    )


def _number(text: str) -> int:
    return int(digest(text)[:8], 16)


def store_at(path: Path) -> Store:
    return Store(path, Reporter(quiet=True))
