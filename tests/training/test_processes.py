"""Two real processes that train together, started as a launcher starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import PHANTOM, invoke, run, subprocess_environment
from safetensors.torch import load_file

from cxrbench.datasets.phantom import Phantom
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.predictions import Predictions
from cxrbench.training.batches import SeededOrder
from cxrbench.training.devices import StepTooLargeError
from cxrbench.training.processes import Processes

# Without dropout, whose draws are each process's own.
BACKBONE = "densenet_fpn:use=patient,dropout=0"
CPU = torch.device("cpu")


def start(results, *arguments):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cxrbench", "run", "--dataset", PHANTOM, "--json", "--results", results]
    shared = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    return [
        subprocess.Popen(
            [str(part) for part in (*command, *arguments)],
            env={**subprocess_environment(), **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


def end(processes):
    """Exit code, stdout and stderr of each; none may hang."""
    try:
        answers = [process.communicate(timeout=120) for process in processes]
        return [(process.returncode, *answer) for process, answer in zip(processes, answers, strict=True)]
    finally:
        for process in processes:
            process.kill()


def predictions(results):
    tables = [Predictions.read(path).table for path in results.glob("artifacts/predict/*/*.parquet")]
    return pd.concat(tables).sort_index()


SETTINGS = ("--backbone", BACKBONE, "--precision", "fp32", "--set", "training.schedule=plateau")


def require_the_same_training(together, stdout, alone):
    (made,) = json.loads(stdout)["runs"]
    (expected,) = alone.json["runs"]
    # How many processes there were is no part of what a run is.
    assert made["run_id"] == expected["run_id"]
    folders = [Path(made["path"]), Path(expected["path"])]
    names = [{path.name for path in folder.iterdir()} for folder in folders]
    assert names[0] == names[1]
    stores = [folder.parent.parent for folder in folders]
    assert np.abs(predictions(stores[0]) - predictions(stores[1])).to_numpy().max() < 1e-3
    epochs = [pd.read_csv(folder / "epochs.csv") for folder in folders]
    for column in ("epoch", "cycle", "train_loss", "val_loss", "learning_rate"):
        assert epochs[0][column].tolist() == pytest.approx(epochs[1][column].tolist(), abs=1e-4), column
    assert invoke("verify", "--results", together, "--json").json["problems"] == []


def masked_labels(folder):
    """A file that makes labels unknown, more of them for some images than for others."""
    ids = Phantom(train_val=240, test=80).read(None).manifest.index
    rng = np.random.default_rng(0)
    cells = np.where(rng.random((len(ids), 3)) < rng.random((len(ids), 1)), "-1", "")
    path = folder / "labels.csv"
    pd.DataFrame(cells, ids, ["Mass", "Nodule", "Effusion"]).to_csv(path)
    return path


@pytest.mark.slow
def test_two_processes_train_what_one_does_with_unknown_labels_too(tmp_path):
    settings = (*SETTINGS, "--epochs", 3, "--labels", masked_labels(tmp_path))
    (code, stdout, stderr), other = end(start(tmp_path / "together", *settings))
    assert (code, other) == (0, (0, "", "")), stderr
    assert "in 2 processes" in stderr
    alone = run(tmp_path / "alone", *settings, backbone=None)
    require_the_same_training(tmp_path / "together", stdout, alone)


@pytest.mark.slow
def test_two_processes_train_on_images(tmp_path):
    """Batch normalisation sees each process's share alone, so losses are near but not the same."""
    settings = ("--backbone", "timm/test_resnet:drop_rate=0", "--image-size", "32", "--precision", "fp32")
    settings += ("--lr", "3e-3", "--epochs", 2)
    (code, stdout, stderr), other = end(start(tmp_path / "together", *settings))
    assert (code, other) == (0, (0, "", "")), stderr
    (made,), (expected,) = (
        answer["runs"]
        for answer in (json.loads(stdout), run(tmp_path / "alone", *settings, backbone=None).json)
    )
    assert made["run_id"] == expected["run_id"]
    (facts,) = tmp_path.glob("together/artifacts/train/*/training.json")
    assert json.loads(facts.read_text())["processes"] == 2
    epochs = [pd.read_csv(Path(record["path"]) / "epochs.csv") for record in (made, expected)]
    for column in ("train_loss", "val_loss"):
        assert epochs[0][column].tolist() == pytest.approx(epochs[1][column].tolist(), abs=0.05), column


@pytest.mark.slow
def test_two_processes_train_a_head_on_stored_features(tmp_path):
    settings = ("--backbone", "timm/test_resnet", "--image-size", "32", "--precision", "fp32", "--epochs", 2)
    frozen = ("--set", "head=dense:neurons=8", "--set", "training.trainable=head", "--augmentation", "none")
    settings = (*settings, *frozen)
    (code, stdout, stderr), other = end(start(tmp_path / "together", *settings))
    assert (code, other) == (0, (0, "", "")), stderr
    assert "running the frozen part" in stderr
    alone = run(tmp_path / "alone", *settings, backbone=None)
    require_the_same_training(tmp_path / "together", stdout, alone)


@pytest.mark.slow
def test_two_processes_freeze_and_unfreeze_together(tmp_path):
    """While batch norms are frozen, shares do not matter: the first cycle is the same, the second near."""
    config = tmp_path / "cycles.toml"
    config.write_text(
        'head = "dense:neurons=8"\n[training]\n'
        'cycles = [{ trainable = "head", epochs = 1 }, { trainable = "layer4", epochs = 1 }]\n'
    )
    settings = ("--config", config, "--backbone", "timm/test_resnet", "--image-size", "32")
    settings += ("--precision", "fp32", "--set", "training.select=loss")
    (code, _, stderr), other = end(start(tmp_path / "together", *settings))
    assert (code, other) == (0, (0, "", "")), stderr
    run(tmp_path / "alone", *settings, backbone=None)
    (together,), (alone,) = (tmp_path.glob(f"{each}/artifacts/train/*") for each in ("together", "alone"))
    losses = [pd.read_csv(folder / "epochs.csv")["val_loss"] for folder in (together, alone)]
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1e-4)
    assert losses[0][1] == pytest.approx(losses[1][1], abs=0.05)
    weights = [load_file(folder / "weights.safetensors") for folder in (together, alone)]
    frozen = [name for name in weights[0] if name.startswith(("features.conv1", "features.layer3"))]
    assert frozen
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in frozen)


def test_a_training_that_breaks_off_in_one_process_ends_the_call(capsys):
    together = Processes(0, 2)
    with pytest.raises(SystemExit) as caught, together.training():
        raise StepTooLargeError("The device ran out of memory; try --batch-size 4.")
    assert caught.value.code == 1
    assert capsys.readouterr().err == (
        "Error: The device ran out of memory; try --batch-size 4; the call ends here, and the same command "
        "goes on from the last finished epoch.\n"
    )
    with pytest.raises(SystemExit), together.training():
        raise RuntimeError("[../gloo/transport/tcp/pair.cc] Connection closed by peer")
    assert "Another process broke off" in capsys.readouterr().err
    with pytest.raises(StepTooLargeError), Processes(0, 1).training():
        raise StepTooLargeError("The device ran out of memory; try --batch-size 4.")


def test_too_few_images_for_the_processes_are_refused():
    Processes(0, 2).require_rows(4)
    with pytest.raises(CxrbenchError, match="two images a process at least, 4 in all, and has 3;"):
        Processes(0, 2).require_rows(3)


@pytest.mark.parametrize("name", ["DEEPSPEED", "FSDP", "MEGATRON_LM", "CPU"])
def test_what_would_train_something_else_is_refused(monkeypatch, name):
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "True")
    with pytest.raises(UsageError, match=f"told to use {name}, "):
        Processes().require_shares(32, torch.device("cuda"))
    monkeypatch.setenv(f"ACCELERATE_USE_{name}", "False")
    Processes().require_shares(32, torch.device("cuda"))


@pytest.mark.slow
def test_where_the_first_process_is_killed_the_other_ends_and_both_go_on_from_there(tmp_path):
    settings = (*SETTINGS, "--epochs", 60)
    processes = start(tmp_path / "together", *settings)
    try:
        for line in processes[0].stderr:
            if line.startswith("epoch  3/"):
                break
    finally:
        os.kill(processes[0].pid, signal.SIGKILL)
    (killed, *_), other = end(processes)
    assert killed == -signal.SIGKILL
    # Left alone in the middle of a training, it ends and has nothing to say.
    assert other == (1, "", "")
    assert not list(tmp_path.glob("together/artifacts/train/*"))
    (code, stdout, stderr), other = end(start(tmp_path / "together", *settings))
    assert (code, other) == (0, (0, "", ""))
    assert "going on after epoch" in stderr
    alone = run(tmp_path / "alone", *settings, backbone=None)
    require_the_same_training(tmp_path / "together", stdout, alone)


@pytest.mark.slow
def test_a_training_that_diverges_stops_neither_the_other_runs_nor_the_other_process(tmp_path):
    first, other = end(start(tmp_path, "--backbone", BACKBONE, "--lr", "1e30", "--seed", "0,1"))
    assert first[0] == 1
    reasons = [failure["reason"] for failure in json.loads(first[1])["failed"]]
    assert len(reasons) == 2
    assert all("The loss became nan in epoch 1" in reason for reason in reasons)
    assert other == (0, "", "")


@pytest.mark.parametrize(("length", "batch_size"), [(100, 12), (96, 12), (10, 32), (11, 32)])
@pytest.mark.parametrize("count", [2, 3])
def test_shares_together_are_the_batches_of_one_process(length, batch_size, count):
    class Some:
        patient, pixels, positions = np.zeros((length, 3), np.float32), None, np.zeros(length, np.int64)
        labels = features = None

        def __len__(self):
            return length

    order = SeededOrder(length, 0)
    order.epoch = 3
    batch_size -= batch_size % count
    whole = [list(order)[at : at + batch_size] for at in range(0, length, batch_size)]
    whole = whole[: length // batch_size] or [list(order)[: length // count * count]]
    shares = [
        [batch["row"].tolist() for batch in Processes(r, count).batches(Some(), batch_size, order, pin=False)]
        for r in range(count)
    ]
    assert [list(chain(*parts)) for parts in zip(*shares, strict=True)] == whole
    assert len({len(part) for share in shares for part in share}) == 1


@pytest.mark.parametrize(("batch_size", "try_"), [(33, 32), (2, 4), (3, 4)])
def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch, batch_size, try_):
    monkeypatch.setenv("WORLD_SIZE", "2")
    Processes(0, 2).require_shares(32, CPU)
    with pytest.raises(UsageError, match=rf"batch of {batch_size} .* 2 processes.* --batch-size {try_}\.$"):
        Processes(0, 2).require_shares(batch_size, CPU)


def test_processes_that_do_not_know_of_each_other_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    answer = run(tmp_path / "results")
    assert answer.exit_code == 2
    assert "accelerate launch … -m cxrbench" in answer.stderr
    assert not (tmp_path / "results").exists()
