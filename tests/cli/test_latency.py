"""``cxrbench latency`` on a stored run: real processes, real engines."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from conftest import PIXELS, invoke, run, subprocess_environment

from cxrbench.errors import CxrbenchError
from cxrbench.leaderboard.latencies import latencies
from cxrbench.plugins import installed
from cxrbench.predictions import Predictions
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.workflow import Workflow
from cxrbench.workflow.trained import rows_of, trained_network

# Each row is measured in a process of its own.
pytestmark = pytest.mark.slow

QUICK = ("--samples", 30, "--seconds", 0.2)
KEYS = {
    "run_id",
    "runtime",
    "precision",
    "batch_size",
    "image_size",
    "device",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "throughput",
    "cold_start_s",
    "peak_memory_mb",
    "gate",
    "proved_precision",
    "skipped",
}

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store with one run, of the smallest network that sees images."""
    results = tmp_path_factory.mktemp("latency")
    answer = run(results, *PIXELS, "--device", "cpu", backbone=None)
    assert answer.exit_code == 0, answer.stderr
    return results, answer.json["runs"][0]


def latency(results, *arguments):
    return invoke("latency", *arguments, "--device", "cpu", "--results", results, "--json")


@pytest.fixture(scope="module")
def measured(trained):
    """Eager and ONNX Runtime with a batch that does not divide the test images, and a runtime left out."""
    results, record = trained
    before = (results / "runs" / record["run_id"] / "artifact.json").read_bytes()
    asked = (
        "--runtimes",
        "eager,onnxruntime,cudagraphs" if torch.cuda.is_available() else "eager,onnxruntime",
    )
    answer = latency(results, record["run_id"], *asked, "--batch-size", "1,7", *QUICK)
    assert answer.exit_code == 0, answer.stderr
    assert (results / "runs" / record["run_id"] / "artifact.json").read_bytes() == before
    return results, record, answer


def test_each_row_has_its_figures(measured):
    _, record, answer = measured
    rows = answer.json
    assert [(row["runtime"], row["batch_size"]) for row in rows] == [
        (runtime, batch) for runtime in ("eager", "onnxruntime") for batch in (1, 7)
    ]
    for row in rows:
        assert row.keys() >= KEYS
        assert (row["run_id"], row["image_size"], row["device"]) == (record["run_id"], 32, "cpu")
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["throughput"] > 0
        assert row["cold_start_s"] > row["p50_ms"] / 1000
        assert row["skipped"] is None
        assert row["proved_precision"] == "fp32"
        # 30 samples do not support a 90th percentile.
        assert row["unsupported_percentiles"] == [90, 95, 99]


def test_fp32_engines_decide_as_the_network_did(measured):
    for row in measured[2].json:
        assert row["gate"]["passed"]
        assert row["gate"]["max_abs_logit"] < 1e-4
        assert row["gate"]["delta_auc"] == pytest.approx(0, abs=1e-3)
        assert row["gate"]["flips"] == 0


def test_records_keep_samples_predictions_machine_and_split(measured):
    results, record, answer = measured
    key = record["training"].rpartition("/")[2]
    folders = sorted((results / "latency" / key).iterdir())
    assert sorted(row["record"] for row in answer.json) == [str(folder) for folder in folders]
    for folder in folders:
        told = json.loads((folder / "record.json").read_text())
        samples = pd.read_parquet(folder / "samples.parquet")["wall_ms"]
        assert len(samples) == told["latency"]["samples"] == 30
        assert samples.median() == pytest.approx(told["latency"]["percentiles"][0]["value"])
        assert told["throughput"] == pytest.approx(told["batch_size"] * 1000 / samples.mean())
        predictions = Predictions.read(folder / "predictions.parquet")
        assert len(predictions.table) == record["passport"]["images"]["test"]
        assert told["host"]["cores"] >= 1
        assert told["versions"]["torch"] == torch.__version__.partition("+")[0]
        assert told["threads"]["intra_op"] == torch.get_num_threads()
        assert set(told["split"]["ms"]) == {"decode", "preprocess", "copy", "network", "thresholds"}
        assert told["split"]["drawn"]
        assert len(told["gate"]["findings"]) == len(predictions.task.classes)


def test_another_measurement_is_added_and_replaces_none(measured):
    results, record, _ = measured
    before = set(results.glob("latency/*/*/record.json"))
    answer = latency(results, record["run_id"], "--runtimes", "eager", "--no-split", *QUICK)
    assert answer.exit_code == 0
    added = set(results.glob("latency/*/*/record.json")) - before
    assert len(added) == 1
    assert before < before | added == set(results.glob("latency/*/*/record.json"))
    assert json.loads(added.pop().read_text())["split"] is None


def test_the_leaderboard_is_given_the_fastest_that_passed_and_where(measured):
    results, record, answer = measured
    found = latencies(Store(results, Reporter(quiet=True)), [record])
    single = {row["runtime"]: row for row in answer.json if row["batch_size"] == 1}
    fastest = min(single.values(), key=lambda row: row["p50_ms"])
    assert found.of_runs[record["run_id"]]["latency_ms"] <= fastest["p50_ms"]
    assert answer.json[0]["host"] in found.note
    assert found.added_to(record)["latency_p99_ms"] > 0
    assert found.added_to({"run_id": "another"}) == {"run_id": "another"}


def test_ensembles_can_be_traded_for_measured_latency(measured):
    pytest.importorskip("pymoo")
    results, record, _ = measured
    search = "pareto:cost=latency_ms,population=4,generations=1"
    answer = invoke(
        "ensemble", record["run_id"], "--search", search, "--min-positives", 1, "--results", results, "--json"
    )
    assert answer.exit_code == 0, answer.stderr
    fastest = latencies(Store(results, Reporter(quiet=True)), [record]).of_runs[record["run_id"]]
    assert [point["cost"] for point in answer.json["front"]] == [fastest["latency_ms"]]


def test_an_engine_that_fails_the_gate_is_reported_and_not_ranked(trained):
    results, record = trained
    shown = invoke(
        "latency", record["run_id"], "--runtimes", "eager", "--precision", "fp32,bf16", "--device", "cpu",
        "--gate", "logit=0.000001", "--no-split", *QUICK, "--results", results,
    )  # fmt: skip
    assert shown.exit_code == 0, shown.stderr
    passed, _, failed = shown.stdout.partition("Not ranked, since they fail the gate:")
    assert "bf16" not in passed
    assert "bf16" in failed
    assert "a logit is" in failed


def test_another_image_size_is_held_against_eager_of_that_size(trained):
    results, record = trained
    answer = latency(
        results, record["run_id"], "--runtimes", "eager", "--image-size", 48, "--no-split", *QUICK
    )
    (row,) = answer.json
    assert row["image_size"] == 48
    assert row["gate"]["max_abs_logit"] < 1e-4


@no_gpu
def test_what_cannot_run_here_is_an_error_by_name(trained):
    results, record = trained
    for name, part in (("tensorrt", "NVIDIA GPU"), ("cudagraphs", "CUDA device")):
        answer = latency(results, record["run_id"], "--runtimes", name)
        assert answer.exit_code == 1
        assert answer.stderr.count("\n") == 1
        assert f"The runtime '{name}' cannot run here: " in answer.stderr
        assert part in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--runtimes", "egaer"), "did you mean eager"),
        (("--runtimes", "eager:speed=1"), "has no option 'speed'"),
        (("--precision", "fp4"), "There is no number format 'fp4'"),
        (("--runtimes", "eager", "--precision", "int8"), "int8"),
        (("--batch-size", "0"), "--batch-size takes whole numbers"),
        (("--gate", "auc=-1"), "--gate takes"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_measured(trained, arguments, part):
    results, record = trained
    before = sorted(results.glob("latency/*/*"))
    answer = latency(results, record["run_id"], *arguments)
    assert answer.exit_code == 2
    assert part in answer.stderr
    assert sorted(results.glob("latency/*/*")) == before


def test_data_with_other_test_images_are_refused_before_anything_is_measured(trained):
    results, record = trained
    store, registry = Store(results, Reporter(quiet=True)), installed().registry
    workflow = Workflow(store, registry, Reporter(quiet=True), torch.device("cpu"), None)
    network = trained_network(store, registry, record["run_id"])
    assert len(rows_of(workflow, network, "test")) == record["passport"]["images"]["test"]
    elsewhere = {**network.record, "passport": {**network.record["passport"], "test_ids": "others"}}
    with pytest.raises(CxrbenchError, match="other test images than"):
        rows_of(workflow, replace(network, record=elsewhere), "test")


def test_averages_are_refused_before_they_are_trained(tmp_path):
    answer = run(
        tmp_path, *PIXELS, "--set", "averaged=2", "--device", "cpu", "--runtimes", "eager", backbone=None
    )
    assert answer.exit_code == 2
    assert "averages 2" in answer.stderr
    assert not list(tmp_path.glob("artifacts/*/*"))


def test_a_run_can_be_followed_by_its_latency_which_is_not_measured_twice(trained):
    results, record = trained
    asked = (*PIXELS, "--device", "cpu", "--runtimes", "eager")
    before = set(results.glob("latency/*/*"))
    first = run(results, *asked, backbone=None)
    assert first.exit_code == 0, first.stderr
    (row,) = first.json["latency"]
    assert (row["run_id"], row["runtime"]) == (record["run_id"], "eager")
    after = set(results.glob("latency/*/*"))
    assert len(after - before) <= 1
    assert run(results, *asked, backbone=None).json["latency"] == [row]
    assert set(results.glob("latency/*/*")) == after


@no_gpu
def test_a_runtime_that_cannot_be_had_stops_a_run_before_it_trains(tmp_path):
    answer = run(tmp_path / "new", "--device", "cpu", "--runtimes", "tensorrt")
    assert answer.exit_code == 1
    assert not (tmp_path / "new").exists()


def test_a_network_without_images_is_measured_too(tmp_path):
    record = run(tmp_path, "--device", "cpu").json["runs"][0]
    answer = latency(tmp_path, record["run_id"], "--runtimes", "eager,onnxruntime", *QUICK)
    assert answer.exit_code == 0, answer.stderr
    assert all(row["gate"]["passed"] for row in answer.json)


def test_files_in_the_folder_one_works_in_hide_no_module_of_the_process(trained, tmp_path):
    results, record = trained
    (tmp_path / "random.py").write_text("raise SystemExit('not that of Python')")
    asked = (record["run_id"], "--runtimes", "eager", "--device", "cpu", *map(str, QUICK), "--no-split")
    line = [Path(sys.executable).with_name("cxrbench"), "latency", *asked, "--results", results, "--json"]
    environment = subprocess_environment()
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["gate"]["passed"]
