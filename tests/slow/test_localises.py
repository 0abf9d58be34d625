"""Heatmaps of the default network, trained on the embedded data set, find the boxes of what was drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def answer(*arguments: object) -> Any:
    """What a command of its own process answers."""
    done = subprocess.run(
        [sys.executable, "-m", "cxrbench", *map(str, arguments), "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_trained_reference_beats_random_and_centre(tmp_path: Path) -> None:
    results = ("--results", tmp_path / "results")
    (run,) = answer("run", "--backbone", "densenet_fpn", "--thresholds", "dynamic", *results)["runs"]
    told = answer("explain", run["run_id"], "--boxes", "--show", 0, "--out", tmp_path / "out", *results)
    (explained,) = told["runs"]
    better = explained["localisation"]["better_than_controls"]["iobb_0.25"]
    assert better["controls"] == ["random", "centre"]
    assert len(better["findings"]) >= 8
    # What it shows is what it has learnt.
    assert explained["sanity"]["all"]["high"] < 0.5
