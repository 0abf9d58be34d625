"""The main job really learns: the default network on the embedded data set."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
from reference import REFERENCE, command

FLOOR, MEDIAN = 0.80, 0.85
"""Macro AUC on test that every seed and the median of three must reach."""


def require_learnt(answer: Any, seeds: int) -> None:
    assert answer["trainings"] == seeds
    aucs = [run["metrics"]["macro_auc"] for run in answer["runs"]]
    assert min(aucs) >= FLOOR
    assert seeds == 1 or statistics.median(aucs) >= MEDIAN
    assert all(run["metrics"]["macro_f1"] > 0.2 for run in answer["runs"])


@pytest.mark.slow
def test_the_default_run_learns_the_phantom(reference: tuple[Path, Any]) -> None:
    require_learnt(reference[1], 1)


@pytest.mark.longest
def test_it_learns_with_every_seed(tmp_path: Path) -> None:
    require_learnt(command(tmp_path, *REFERENCE, "--seed", "0,1,2"), 3)
