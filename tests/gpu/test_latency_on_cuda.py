"""Latency where there is a CUDA device: ``make test-gpu``."""

import json
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import PIXELS, invoke, run

from cxrbench.plugins import load_plugins
from cxrbench.testing import checks_for

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here"),
]

with_tensorrt = pytest.mark.skipif(
    find_spec("torch_tensorrt") is None, reason="torch-tensorrt is not installed"
)


@pytest.mark.parametrize("name", ["eager", "compile", "cudagraphs", "onnxruntime", "tensorrt"])
@pytest.mark.parametrize("check", checks_for("runtime"), ids=str)
def test_conformance(name, check):
    check.run(load_plugins([]).registry.find("runtime", name))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    results = tmp_path_factory.mktemp("latency")
    answer = run(results, *PIXELS, "--device", "cuda", backbone=None)
    assert answer.exit_code == 0, answer.stderr
    return results, answer.json["runs"][0]["run_id"]


def rows(trained, *arguments):
    results, run_id = trained
    answer = invoke("latency", run_id, *arguments, "--device", "cuda", "--results", results, "--json")
    assert answer.exit_code == 0, answer.stderr
    return answer.json


def test_whatever_runs_here_is_timed_by_both_clocks(trained):
    for row in rows(trained, "--runtimes", "auto", "--batch-size", "1,8", "--seconds", 1):
        if row["skipped"]:
            continue
        assert row["gate"]["passed"], row
        samples = pd.read_parquet(Path(row["record"]) / "samples.parquet")
        # Events lie within the call as the host sees it.
        assert samples["device_ms"].median() <= samples["wall_ms"].median()
        assert row["peak_memory_mb"] > 0


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_the_format_asked_for_is_the_one_proved(trained, precision):
    (row,) = rows(trained, "--runtimes", "cudagraphs", "--precision", precision, "--seconds", 1)
    assert row["proved_precision"] == precision


@with_tensorrt
def test_tensorrt_proves_fp16_and_tells_its_coverage(trained):
    (row,) = rows(trained, "--runtimes", "tensorrt", "--precision", "fp16", "--seconds", 1)
    assert row["proved_precision"] == "fp16"
    facts = json.loads((Path(row["record"]) / "record.json").read_text())["facts"]
    assert 0 < facts["coverage"] <= 1
    assert facts["engines"] >= 1


@with_tensorrt
def test_exported_engines_take_batches_of_any_size(trained, tmp_path):
    results, run_id = trained
    answer = invoke(
        *("export", run_id, "--to", "tensorrt", "--out", tmp_path, "--results", results, "--json"),
    )
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["check"]["batch_sizes"] == [1, 2, 5]
    assert answer.json["check"]["max_abs_logit"] < 1e-3
