"""An MLflow server as this process writes to it.

A training and each run made of it are MLflow runs of their own, the run's below that of its training. What
is there already is found by its id, so that what is resumed goes on in its place and nothing is there twice.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException

from cxrbench_mlflow import values

EXPERIMENT = "cxrbench"
"""Where MLFLOW_EXPERIMENT_NAME does not name another."""

_ID = "cxrbench.id"
_OF_TRAINING = ("epochs.csv", "steps.csv", "training.json", "weights.safetensors")


@functools.cache
def tracking() -> Tracking:
    """The one server of this process.

    Raises:
        MlflowException: it cannot be reached.
    """
    return Tracking()


class Tracking:
    """Writes trainings and runs."""

    def __init__(self) -> None:
        self._client = MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        found = self._client.get_experiment_by_name(name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(name)
        # Of trainings at work: the MLflow run, and the epochs that it has; None where it is finished.
        self._open: dict[str, tuple[str, set[int]] | None] = {}
        atexit.register(self._leave)

    def epoch(self, training_id: str, spec: Mapping[str, Any], epoch: Mapping[str, Any]) -> None:
        """Write an epoch, unless it stands there."""
        name = f"training {spec['backbone']['name']} seed {spec['seed']}"
        if entry := self._training(training_id, name):
            self._write_epochs(*entry, [epoch])

    def trained(self, training_id: str, folder: Path, record: Mapping[str, Any]) -> None:
        """Write what a training lacks, with its settings, log and weights; nothing where none took place."""
        log = folder / "epochs.jsonl"
        if not log.exists():
            return
        entry = self._training(training_id, f"training {training_id.rpartition('/')[2][:8]}")
        if entry is None:
            return
        run_id, epochs = entry
        self._write_epochs(run_id, epochs, map(json.loads, log.read_text(encoding="utf-8").splitlines()))
        self._write(run_id, params=values.params(record["inputs"]))
        for name in _OF_TRAINING:
            self._client.log_artifact(run_id, str(folder / name))
        self._client.set_terminated(run_id, "FINISHED")
        self._open[training_id] = None

    def published(self, artifact_id: str, folder: Path, record: Mapping[str, Any]) -> None:
        """Write a run, unless it stands there: settings, figures, epochs, and the files of its folder."""
        found = self._find(artifact_id)
        if found is not None:
            if found.info.status == "FINISHED":
                return
            self._client.delete_run(found.info.run_id)  # a process that was killed left half of it
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        trainings = [each.removeprefix("artifacts/") for each in told.get("trainings") or ()]
        parent = self._find(trainings[0]) if len(trainings) == 1 else None
        tags = values.tags({**told, "path": str(folder.resolve())}, record["made_with"])
        if parent is not None:
            tags["mlflow.parentRunId"] = parent.info.run_id
        run_id = self._create(artifact_id, told["run_id"], tags)
        log = folder.parents[1] / (told.get("training") or "") / "epochs.jsonl"
        if log.exists():
            rows = map(json.loads, log.read_text(encoding="utf-8").splitlines())
            self._write_epochs(run_id, set(), rows)
        self._write(run_id, metrics=values.test_figures(told), params=values.params(told["spec"]))
        self._client.log_artifacts(run_id, str(folder))
        self._client.set_terminated(run_id, "FINISHED")

    def _training(self, training_id: str, name: str) -> tuple[str, set[int]] | None:
        """The MLflow run of a training, made where there is none; None where it is finished."""
        if training_id not in self._open:
            self._open[training_id] = self._enter(training_id, name)
        return self._open[training_id]

    def _enter(self, training_id: str, name: str) -> tuple[str, set[int]] | None:
        found = self._find(training_id)
        if found is None:
            return self._create(training_id, name, {}), set()
        if found.info.status == "FINISHED":
            return None
        run_id = found.info.run_id
        self._client.update_run(run_id, status="RUNNING")
        return run_id, {metric.step for metric in self._client.get_metric_history(run_id, "train_loss")}

    def _find(self, id_: str) -> Run | None:
        runs = self._client.search_runs([self._experiment], f"tags.`{_ID}` = '{id_}'", max_results=1)
        return runs[0] if runs else None

    def _create(self, id_: str, name: str, tags: Mapping[str, str]) -> str:
        made = self._client.create_run(self._experiment, run_name=name, tags={**tags, _ID: id_})
        return str(made.info.run_id)

    def _write_epochs(self, run_id: str, written: set[int], epochs: Iterable[Mapping[str, Any]]) -> None:
        for epoch in epochs:
            step = int(epoch["epoch"])
            if step not in written:
                self._write(run_id, metrics=values.epoch_figures(epoch), step=step)
                written.add(step)

    def _write(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float] | None = None,
        params: Mapping[str, str] | None = None,
        step: int = 0,
    ) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, step) for name, value in (metrics or {}).items()],
            params=[Param(name, value) for name, value in (params or {}).items()],
        )

    def _leave(self) -> None:
        """Say of trainings that did not come to their end that they did not."""
        try:
            for entry in filter(None, self._open.values()):
                self._client.set_terminated(entry[0], "KILLED")
        except MlflowException:
            pass  # a server that is down was warned of
