"""What only a CUDA device can show: ``make test-gpu``, where there is one."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import PHANTOM, PIXELS, invoke, run, subprocess_environment
from safetensors.torch import load_file

from cxrbench.predictions import Predictions
from cxrbench.training.checkpoint import TrainingState

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here"),
]
DEVICE = "cuda"


def train(results, *arguments, network=PIXELS):
    """The one run of a command on the device."""
    answer = run(results, *network, "--device", DEVICE, *arguments, backbone=None)
    assert answer.exit_code == 0, answer.stderr
    return answer.json["runs"][0]


def weights(results, record):
    return load_file(results / record["weights"])


def log(record):
    return pd.read_csv(Path(record["path"]) / "epochs.csv")


def logits(results):
    tables = [Predictions.read(path).table for path in results.glob("artifacts/predict/*/*.parquet")]
    return pd.concat(tables).sort_index().to_numpy()


@pytest.fixture(scope="module")
def fp32(tmp_path_factory):
    results = tmp_path_factory.mktemp("fp32")
    return train(results, "--precision", "fp32"), results


@pytest.mark.parametrize(
    "settings",
    [
        ("--precision", "bf16"),
        ("--precision", "fp16"),
        ("--precision", "fp32", "--set", "training.channels_last=false"),
        ("--precision", "bf16", "--set", "training.compile=true"),
    ],
    ids=["bf16", "fp16", "contiguous", "compiled"],
)
def test_every_way_of_computing_trains_alike(tmp_path, fp32, settings):
    record = train(tmp_path, *settings)
    expected = log(fp32[0])
    assert log(record)["train_loss"].tolist() == pytest.approx(expected["train_loss"].tolist(), abs=0.1)
    assert log(record)["val_loss"].tolist() == pytest.approx(expected["val_loss"].tolist(), abs=0.1)
    assert weights(tmp_path, record).keys() == weights(fp32[1], fp32[0]).keys()


def test_fp16_with_averaged_weights_and_cycles_ends_its_schedule(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text(
        "[training]\nema = 0.5\n[[training.cycles]]\nepochs = 1\n[[training.cycles]]\nepochs = 2\n"
    )
    record = train(tmp_path, "--precision", "fp16", "--config", file)
    assert log(record)["cycle"].tolist() == [1, 2, 2]
    assert np.isfinite(log(record)[["train_loss", "val_loss"]]).all(axis=None)


def test_predictions_are_those_of_the_processor(tmp_path, fp32):
    """The same checkpoint on a CPU; convolutions on CUDA may keep 10 bits of a factor (TF32)."""
    _, results = fp32
    (tmp_path / "artifacts").mkdir()
    for kept in ("artifacts/train", "artifacts/images", "artifacts/labels", "artifacts/manifest"):
        (tmp_path / kept).symlink_to(results / kept)
    answer = run(tmp_path, *PIXELS, "--device", "cpu", "--precision", "fp32", backbone=None)
    assert answer.json["trainings"] == 0
    assert np.abs(logits(tmp_path) - logits(results)).max() < 0.05


def test_interrupted_it_goes_on_within_the_noise_of_a_seed(tmp_path, fp32, monkeypatch):
    save = TrainingState.save

    def save_and_stop(self, *arguments):
        save(self, *arguments)
        raise KeyboardInterrupt

    line = ("run", "--dataset", PHANTOM, *PIXELS, "--device", DEVICE, "--precision", "fp32", "--epochs", 2)
    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "save", save_and_stop)
        assert invoke(*line, "--results", tmp_path).exit_code == 1
    record = train(tmp_path, "--precision", "fp32")
    for column in ("train_loss", "val_loss"):
        assert log(record)[column].tolist() == pytest.approx(log(fp32[0])[column].tolist(), abs=0.05)


def test_deterministic_trainings_are_the_same_bit_for_bit(tmp_path):
    line = [sys.executable, "-m", "cxrbench", "run", "--dataset", PHANTOM, *PIXELS, "--device", DEVICE]
    line += ["--epochs", "2", "--set", "training.deterministic=true", "--results"]
    environment = {**subprocess_environment(), "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    for name in ("one", "other"):
        subprocess.run([*line, str(tmp_path / name)], env=environment, check=True, capture_output=True)
    one, other = (next(tmp_path.glob(f"{name}/artifacts/train/*")) for name in ("one", "other"))
    assert (one / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()


@pytest.fixture
def little_memory():
    """As on a GPU of 2 GiB."""
    torch.cuda.empty_cache()
    share = 2 * 2**30 / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, share))
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


LARGE = ("--backbone", "densenet_fpn", "--image-size", "224", "--precision", "fp32")


@pytest.mark.usefixtures("little_memory")
def test_out_of_memory_names_the_batch_size_to_try(tmp_path):
    answer = run(tmp_path, *LARGE, "--device", DEVICE, "--batch-size", 160, backbone=None)
    assert answer.exit_code == 1
    assert "ran out of memory with 160 images of 224 px a step; try --batch-size 80." in answer.stderr


@pytest.mark.usefixtures("little_memory")
def test_the_automatic_batch_size_is_one_that_trains(tmp_path):
    record = train(tmp_path, "--set", "training.batch_size=auto", "--epochs", 1, network=LARGE)
    config = tomllib.loads((Path(record["path"]) / "config.toml").read_text())
    assert config["training"]["batch_size"] in (4, 8, 16, 32, 64)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_train_together(tmp_path):
    line = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0", "-m", "cxrbench"]
    line += ["run", "--dataset", PHANTOM, *PIXELS, "--epochs", "2", "--results", str(tmp_path)]
    subprocess.run([sys.executable, *line], env=subprocess_environment(), check=True, timeout=300)
    assert len(list(tmp_path.glob("runs/*/artifact.json"))) == 1
