"""The default network, trained once for all slow tests, as a user trains it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REFERENCE = ("run", "--backbone", "densenet_fpn", "--thresholds", "dynamic")


def command(results: Path, *arguments: object) -> Any:
    """What a command of its own process answers."""
    done = subprocess.run(
        [sys.executable, "-m", "cxrbench", *map(str, arguments), "--results", str(results), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The store of the default run on the embedded data set, and what the run answered."""
    results = tmp_path_factory.mktemp("reference")
    return results, command(results, *REFERENCE)
