"""Two seeds of a published network differ by more than test sampling; two networks differ beyond seeds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import invoke

pytestmark = pytest.mark.slow


def test_seeds_of_densenet121_differ_and_it_is_better_than_mobilenet(tmp_path):
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    folder = data / "predictions/casp_official"
    if not folder.is_dir():
        pytest.skip(f"there are no predictions in {data} (CXRBENCH_TEST_DATA)")
    files = [folder / f"{name}_seed{seed}.npz" for name in ("densenet121", "mobilenet_v2") for seed in (0, 1)]
    scored = invoke("score", *files, "--rows-as-ids", "--results", tmp_path, "--json", "-q")
    runs = [run["run_id"] for run in scored.json["runs"]]

    def macro_auc(*names):
        (found,) = invoke("compare", *names, "--results", tmp_path, "--json").json["comparisons"]
        return found, found["overall"][0]

    seeds, auc = macro_auc(runs[1], runs[0])
    assert auc["value"] == pytest.approx(-0.0127, abs=5e-5)
    assert (auc["low"], auc["high"]) == pytest.approx((-0.020, -0.006), abs=1e-3)
    assert "differ beyond test sampling" in seeds["verdict"]
    systems, auc = macro_auc(*runs)
    assert systems["kind"] == "systems"
    assert auc["better"] == "first"
    for first in runs[:2]:
        for second in runs[2:]:
            assert macro_auc(first, second)[1]["high"] < 0
