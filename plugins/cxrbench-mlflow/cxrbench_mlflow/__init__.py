"""Runs of cxrbench in MLflow, where MLFLOW_TRACKING_URI is set; MLflow is imported where it is used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.hookspecs import hookimpl

if TYPE_CHECKING:
    from cxrbench_mlflow.tracking import Tracking


@hookimpl
def epoch_ended(training_id: str, spec: Mapping[str, Any], epoch: Mapping[str, Any]) -> None:
    """Write the figures of an epoch while the training goes on."""
    if tracking := _tracking():
        tracking.epoch(training_id, spec, epoch)


@hookimpl
def artifact_written(artifact_id: str, folder: Path, record: Mapping[str, Any]) -> None:
    """Write a training that is done, and each run."""
    stage, tracking = artifact_id.partition("/")[0], None
    if stage in ("train", "run"):
        tracking = _tracking()
    if tracking:
        write = tracking.trained if stage == "train" else tracking.published
        write(artifact_id, folder, record)


_UNLESS_SET = {
    # A server that is down should cost a run seconds, not minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    # Nobody else is told of what is computed here.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's own settings, which it reads as it is imported or later."""


def _tracking() -> Tracking | None:
    """None where nobody says where to: being installed writes nothing into the folder one works in."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    for name, value in _UNLESS_SET.items():
        os.environ.setdefault(name, value)
    from cxrbench_mlflow.tracking import tracking

    return tracking()
