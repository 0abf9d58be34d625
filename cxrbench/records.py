"""The record of a run, ``run.json``, as whoever shows runs reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json
from cxrbench.store import Artifact

if TYPE_CHECKING:
    from cxrbench.task import TaskKind

SCHEMA_VERSION = 1
"""Of ``run.json``."""


def read_record(run_artifact: Artifact) -> dict[str, Any]:
    """A run's ``run.json``, with the ``path`` of its folder.

    Raises:
        CxrbenchError: the file is missing, damaged, or of a newer cxrbench.
    """
    path = run_artifact.folder / "run.json"
    try:
        record: dict[str, Any] = read_json(path)
    except (FileNotFoundError, ValueError) as error:
        raise CxrbenchError(
            f"{path} is missing or damaged; 'cxrbench store rm {run_artifact.folder.name}' and the same run "
            "again make it anew."
        ) from error
    if record["schema_version"] > SCHEMA_VERSION:
        raise CxrbenchError(f"{path} was written by a newer cxrbench; update cxrbench to read it.")
    return {**record, "path": str(run_artifact.folder)}


def task_kind(record: Mapping[str, Any]) -> TaskKind:
    """Whether one class of each image is right in a run's task: the most probable one is called then."""
    return "singlelabel" if record["thresholds"] == "argmax" else "multilabel"
