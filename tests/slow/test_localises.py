"""Heatmaps of the default network, trained on the embedded data set, find the boxes of what was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reference import command


@pytest.mark.slow
def test_the_trained_reference_beats_random_and_centre(reference: tuple[Path, Any], tmp_path: Path) -> None:
    results, trained = reference
    (run,) = trained["runs"]
    told = command(results, "explain", run["run_id"], "--boxes", "--show", 0, "--out", tmp_path / "out")
    (explained,) = told["runs"]
    better = explained["localisation"]["better_than_controls"]["iobb_0.25"]
    assert better["controls"] == ["random", "centre"]
    assert len(better["findings"]) >= 8
    # What it shows is what it has learnt.
    assert explained["sanity"]["all"]["high"] < 0.5
