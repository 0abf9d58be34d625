"""The main job really learns: three seeds of the default network on the embedded data set."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

FLOOR, MEDIAN = 0.80, 0.85
"""Macro AUC on test that every seed and the median of three must reach."""


@pytest.mark.parametrize(
    "seeds", [pytest.param((0,), marks=pytest.mark.slow), pytest.param((0, 1, 2), marks=pytest.mark.seeds)]
)
def test_the_default_run_learns_the_phantom_with_every_seed(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    command = ["run", "--backbone", "densenet_fpn", "--thresholds", "dynamic", "--json"]
    command += ["--seed", ",".join(map(str, seeds))]
    done = subprocess.run(
        [sys.executable, "-m", "cxrbench", *command, "--results", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["trainings"] == len(seeds)
    aucs = [run["metrics"]["macro_auc"] for run in answer["runs"]]
    assert min(aucs) >= FLOOR
    assert len(seeds) == 1 or statistics.median(aucs) >= MEDIAN
    assert all(run["metrics"]["macro_f1"] > 0.2 for run in answer["runs"])
