"""Runs in MLflow, read back from a server of its own, which is a process as anybody's."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient

from cxrbench.plugins import installed

SMALL = ("--dataset", "phantom:train_val=160,test=60", "--backbone", "densenet_fpn:use=patient")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The address of an MLflow server."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    line = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    line += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(
        [*line, "--workers", "1"],
        cwd=folder,
        env={**os.environ, **quiet},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
            break
        except OSError:
            told = (folder / "server.log").read_text()
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.2)
    yield address
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


def line_of(*arguments):
    return [sys.executable, "-m", "cxrbench", *(str(each) for each in arguments)]


def environment(server, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    address = {"MLFLOW_TRACKING_URI": server} if server else {}
    return {**kept, **address, "OMP_NUM_THREADS": "1", **more}


def cxrbench(server, *arguments, cwd=None, **more):
    return subprocess.run(
        line_of(*arguments),
        env=environment(server, **more),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def entries(server, experiment):
    """All runs of an experiment, by what they are called in cxrbench."""
    client = MlflowClient(server)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id]) if found else []
    by_id = {run.data.tags["cxrbench.id"]: run for run in runs}
    assert len(by_id) == len(runs), "something stands there twice"
    return by_id


def steps(server, entry, name):
    return [metric.step for metric in MlflowClient(server).get_metric_history(entry.info.run_id, name)]


def artifacts(server, entry):
    return {each.path for each in MlflowClient(server).list_artifacts(entry.info.run_id)}


def test_it_is_installed_and_loads_nothing_heavy():
    assert [p.status for p in installed().plugins if p.name == "mlflow"] == ["loaded"]
    asked = "import sys, cxrbench_mlflow; print({'torch', 'mlflow'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_two_runs_of_one_training_are_there_with_all_that_they_are(server, tmp_path):
    asked = ("run", *SMALL, "--epochs", 3, "--thresholds", "youden,fixed", "--results", tmp_path, "--json")
    done = cxrbench(server, *asked, MLFLOW_EXPERIMENT_NAME="all of it")
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    records = json.loads(done.stdout)["runs"]
    found = entries(server, "all of it")
    training_id = records[0]["training"].removeprefix("artifacts/")
    assert set(found) == {training_id, *(f"run/{record['run_id']}" for record in records)}
    assert {each.info.status for each in found.values()} == {"FINISHED"}

    training = found[training_id]
    assert steps(server, training, "val_loss") == [1, 2, 3]
    assert artifacts(server, training) == {"epochs.csv", "steps.csv", "training.json", "weights.safetensors"}
    assert training.data.params["training.epochs"] == "3"

    for record in records:
        run = found[f"run/{record['run_id']}"]
        assert run.info.run_name == record["run_id"]
        assert run.data.params["thresholds.name"] == record["thresholds"]
        assert run.data.params["training.epochs"] == "3"
        assert run.data.params["seed"] == "0"
        tags = run.data.tags
        assert tags["mlflow.parentRunId"] == training.info.run_id
        assert tags["cxrbench.passport"] == record["passport"]["id"]
        assert tags["version.torch"]
        defined = {f"test/{name}": value for name, value in record["metrics"].items() if value is not None}
        assert defined
        assert {name: run.data.metrics[name] for name in defined} == pytest.approx(defined)
        row = next(row for row in record["per_finding"] if row["auc"] is not None)
        assert run.data.metrics[f"test/auc/{row['finding']}"] == pytest.approx(row["auc"])
        assert all(math.isfinite(value) for value in run.data.metrics.values())
        with (Path(record["path"]) / "epochs.csv").open() as file:
            log = list(csv.DictReader(file))
        history = MlflowClient(server).get_metric_history(run.info.run_id, "train_loss")
        assert [(m.step, m.value) for m in history] == [
            (int(row["epoch"]), pytest.approx(float(row["train_loss"]))) for row in log
        ]
        top = {path.name for path in Path(record["path"]).iterdir()}
        assert artifacts(server, run) == top
        assert {"run.json", "per_finding.csv", "config.toml"} <= top

    again = cxrbench(server, *asked, MLFLOW_EXPERIMENT_NAME="all of it")
    assert again.returncode == 0, again.stderr
    assert set(entries(server, "all of it")) == set(found)
    # The same store made anew: the ids are the same, and nothing is written twice.
    other = cxrbench(server, *asked[:-3], "--results", tmp_path / "other", MLFLOW_EXPERIMENT_NAME="all of it")
    assert other.returncode == 0, other.stderr
    assert set(entries(server, "all of it")) == set(found)
    assert steps(server, entries(server, "all of it")[training_id], "val_loss") == [1, 2, 3]


def test_a_killed_training_goes_on_in_its_place(server, tmp_path):
    asked = (
        "run",
        *SMALL,
        "--epochs",
        60,
        "--set",
        "training.early_stopping=0",
        "--results",
        tmp_path,
        "--json",
    )
    names = {"MLFLOW_EXPERIMENT_NAME": "killed"}
    process = subprocess.Popen(
        line_of(*asked),
        env=environment(server, **names),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        if any(len(steps(server, run, "train_loss")) >= 3 for run in entries(server, "killed").values()):
            process.kill()
            break
        time.sleep(0.05)
    process.wait()
    assert process.returncode == -signal.SIGKILL, "it was done before it could be killed"
    (before,) = entries(server, "killed").values()
    assert before.info.status == "RUNNING"
    done = cxrbench(server, *asked, **names)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch" in done.stderr
    (record,) = json.loads(done.stdout)["runs"]
    found = entries(server, "killed")
    training = found.pop(record["training"].removeprefix("artifacts/"))
    assert training.info.run_id == before.info.run_id
    assert training.info.status == "FINISHED"
    assert sorted(steps(server, training, "train_loss")) == list(range(1, 61))
    assert list(found) == [f"run/{record['run_id']}"]


def figures(done):
    (record,) = json.loads(done.stdout)["runs"]
    return record["metrics"], record["per_finding"]


def test_a_server_that_is_down_is_warned_of_once_and_changes_nothing(tmp_path):
    asked = ("run", *SMALL, "--epochs", 2, "--json", "--results")
    without = cxrbench(None, *asked, tmp_path / "without", cwd=tmp_path)
    assert without.returncode == 0, without.stderr
    down = cxrbench(f"http://127.0.0.1:{free_port()}", *asked, tmp_path / "down")
    assert down.returncode == 0, down.stderr
    warnings = [line for line in down.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1, down.stderr
    assert "plugin mlflow (cxrbench-mlflow" in warnings[0]
    assert figures(down) == figures(without)
    assert list((tmp_path / "down/failures").glob("plugin-mlflow-*.txt"))


def test_without_an_address_nothing_is_written(tmp_path):
    done = cxrbench(None, "run", *SMALL, "--epochs", 1, "--results", "store", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
