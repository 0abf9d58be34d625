"""The record of a run, ``run.json``, as whoever shows runs reads it."""

from __future__ import annotations

from typing import Any

from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json
from cxrbench.store import Artifact

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
