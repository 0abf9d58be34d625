"""A training that is killed and started again ends bit for bit like one that was left alone."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import LIGHT, PHANTOM, invoke, subprocess_environment

TIMES = ("seconds", "step_ms", "images_per_second")

RUNS = {
    "patient data, bf16, plateau": [
        *("--dataset", "phantom:train_val=500,test=80", "--backbone", LIGHT, "--batch-size", "2"),
        *("--precision", "bf16", "--set", "training.schedule=plateau"),
    ],
    "images, fp32, cosine, augmentation, dropout": [
        *("--dataset", "phantom:train_val=400,test=80", "--backbone", "timm/test_resnet:drop_rate=0.3"),
        *("--image-size", "32", "--batch-size", "4", "--precision", "fp32"),
    ],
}


def without_times(path):
    with path.open() as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, id=name, marks=(pytest.mark.slow,) if name.startswith("images") else ())
        for name, line in RUNS.items()
    ],
)
def test_killed_in_epoch_2_of_4_and_started_again_it_ends_the_same(tmp_path, line):
    command = ["run", *line, "--epochs", "4", "--device", "cpu", "--json", "--results"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    process = subprocess.Popen(
        [sys.executable, "-m", "cxrbench", *command, str(cut)],
        env=subprocess_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not list(cut.glob("partial/train-*/state-*[0-9]/state.json")):
            assert process.poll() is None, "it ended before its first epoch did"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        # A little into the second epoch.
        time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not list(cut.glob("artifacts/train/*")), "it was killed too late to show anything"

    resumed, left_alone = invoke(*command, cut), invoke(*command, whole)
    assert resumed.exit_code == left_alone.exit_code == 0
    assert "going on after epoch" in resumed.stderr
    assert resumed.json["trainings"] == 1
    (one,), (other,) = resumed.json["runs"], left_alone.json["runs"]
    assert one["run_id"] == other["run_id"]
    assert one["metrics"] == other["metrics"]
    assert one["per_finding"] == other["per_finding"]
    for name in ("weights", "optimizer"):
        assert (cut / one[name]).read_bytes() == (whole / other[name]).read_bytes(), name
    epochs = [root / "runs" / one["run_id"] / "epochs.csv" for root in (cut, whole)]
    assert without_times(epochs[0]) == without_times(epochs[1])
    record = json.loads((cut / one["weights"]).with_name("artifact.json").read_text())
    assert not any("state" in name for name in record["files"])
    assert not list(cut.glob("partial/*"))
    assert invoke("verify", "--results", cut, "--json").json["problems"] == []


def test_killed_between_the_end_of_training_and_its_publishing_nothing_is_trained_again(tmp_path):
    network = ("--dataset", PHANTOM, "--backbone", LIGHT, "--epochs", "2")
    run = ["run", *network, "--json", "--results", tmp_path]
    (before,) = invoke(*run).json["runs"]
    weights = (tmp_path / before["weights"]).read_bytes()
    # As a process leaves it that dies then: the finished folder still partial, the last state in it.
    folder = (tmp_path / before["weights"]).parent
    shutil.rmtree(tmp_path / "runs")
    (folder / "artifact.json").unlink()
    (folder / "state-000002").mkdir()
    partial = tmp_path / "partial" / f"train-{folder.name}"
    partial.parent.mkdir(exist_ok=True)
    folder.rename(partial)

    again = invoke(*run).json
    assert again["trainings"] == 0
    assert again["runs"][0]["metrics"] == before["metrics"]
    assert (tmp_path / before["weights"]).read_bytes() == weights
    assert not (tmp_path / before["weights"]).with_name("state-000002").exists()
