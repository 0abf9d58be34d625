"""Small real runs, and all that plugins are told of them: what hooks are checked with.

A network on drawn images, two systems whose scores come from files, and an ensemble of these. One of their
findings is nowhere on test, so that figures are undefined as they are in records of real runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from cxrbench.grid import cells
from cxrbench.options import Use
from cxrbench.plugins import load_plugins
from cxrbench.records import read_record
from cxrbench.registry import Registry
from cxrbench.reporter import Reporter
from cxrbench.scores.table import Allowed
from cxrbench.store import Artifact, Store
from cxrbench.workflow.ensembling import EnsembleRequest, Ensembling
from cxrbench.workflow.runs import Workflow
from cxrbench.workflow.scoring import ScoreRequest, Scoring

_NETWORK = {
    "dataset": "phantom:train_val=160,test=60",
    # It sees patient data alone, and so trains in a moment.
    "backbone": "densenet_fpn:use=patient",
    "training": {"epochs": 2, "precision": "fp32"},
}
_SYSTEMS = ("one", "two")
_FINDINGS, _RATES = ("Effusion", "Mass", "Hernia"), (0.3, 0.25, 0.0)
_PATIENTS, _EACH = 80, 2


@dataclass(frozen=True)
class SmallRuns:
    """What plugins are told of the runs.

    Attributes:
        epochs: arguments of ``epoch_ended``, in order.
        artifacts: of ``artifact_written``, in order; their folders are on disk.
        runs: of ``report_sections``, of each run.
    """

    epochs: Sequence[Mapping[str, Any]]
    artifacts: Sequence[Mapping[str, Any]]
    runs: Sequence[Mapping[str, Any]]


class _NotingStore(Store):
    """Notes what plugins would be told, and tells none."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, Reporter(quiet=True))
        self.told: list[tuple[str, dict[str, Any]]] = []

    def tell(self, hook: str, **values: Any) -> None:
        self.told.append((hook, values))


def small_runs(folder: Path) -> SmallRuns:
    """Make the runs in an empty folder, of components of cxrbench alone."""
    store, registry = _NotingStore(folder / "results"), load_plugins(()).registry
    runs = [_of_a_network(store, registry), *_of_scores(store, registry, folder)]
    # The finding that is nowhere has no positives on tune either.
    settings = {"min_positives": 0}
    request = EnsembleRequest([each.folder.name for each in runs[1:]], Use(name="average"), settings)
    runs.append(Ensembling(store, registry, store.reporter).job(request).do())
    told = {
        hook: [values for each, values in store.told if each == hook]
        for hook in ("epoch_ended", "artifact_written")
    }
    shown = [
        {"run_id": each.folder.name, "record": read_record(each), "folder": each.folder} for each in runs
    ]
    return SmallRuns(told["epoch_ended"], told["artifact_written"], shown)


def _of_a_network(store: Store, registry: Registry) -> Artifact:
    (spec,) = cells(_NETWORK, {}, (), registry)
    return Workflow(store, registry, store.reporter, torch.device("cpu"), None).job(spec).do()


def _of_scores(store: Store, registry: Registry, folder: Path) -> list[Artifact]:
    """A run of each system, half of the patients being tune."""
    draws = np.random.default_rng(0)
    patients = np.repeat(np.arange(_PATIENTS), _EACH)
    ids = [f"{patient:05d}_{row:05d}.png" for row, patient in enumerate(patients)]
    present = draws.random((len(ids), len(_FINDINGS))) < _RATES
    table = pd.DataFrame(
        {
            "Image Index": ids,
            "Finding Labels": ["|".join(np.compress(row, _FINDINGS)) or "No Finding" for row in present],
            "Patient ID": patients,
            "Patient Age": draws.integers(20, 90, len(ids)),
            "Patient Gender": draws.choice(["F", "M"], len(ids)),
            "View Position": draws.choice(["AP", "PA"], len(ids)),
        }
    )
    table.to_csv(folder / "labels.csv", index=False)
    files = []
    for name in _SYSTEMS:
        logits = draws.normal(size=present.shape) + 1.5 * present - 1
        scores = pd.DataFrame(1 / (1 + np.exp(-logits)), index=ids, columns=list(_FINDINGS))
        files.append(folder / f"{name}.csv")
        scores.rename_axis("Image Index").to_csv(files[-1])
    scoring = Scoring(store, registry, store.reporter)
    request = ScoreRequest(
        files=files,
        labels=folder / "labels.csv",
        tune_from_test=True,
        allowed=Allowed(common_findings=True),
    )
    return [scoring.job(spec).do() for spec in scoring.specs(request, {})]
