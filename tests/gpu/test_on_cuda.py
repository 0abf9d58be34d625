"""What only a CUDA device can show: ``make test-gpu``, where there is one."""

import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import PHANTOM, PIXELS, invoke, run, subprocess_environment
from safetensors.torch import load_file

from cxrbench.augmentations.none import NoAugmentation
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.losses.bce import MaskedBce
from cxrbench.options import instantiate
from cxrbench.plugins import installed
from cxrbench.predictions import Predictions
from cxrbench.specs import TrainingSpec
from cxrbench.task import Task
from cxrbench.testing.augmentations import CHECKS
from cxrbench.training.batches import Rows, loader
from cxrbench.training.checkpoint import TrainingState
from cxrbench.training.devices import accelerator_for
from cxrbench.training.schedule import cycles_of
from cxrbench.training.setting import Training
from cxrbench.training.step import Step

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


def falls(epochs):
    """Whether a training learnt: its loss is lower at the end."""
    return epochs["train_loss"].iloc[-1] < epochs["train_loss"].iloc[0]


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
    assert falls(log(record))
    assert log(record)["train_loss"].tolist() == pytest.approx(expected["train_loss"].tolist(), abs=0.1)
    assert log(record)["val_loss"].tolist() == pytest.approx(expected["val_loss"].tolist(), abs=0.1)
    assert weights(tmp_path, record).keys() == weights(fp32[1], fp32[0]).keys()


def test_fp16_with_averaged_weights_and_cycles_ends_its_schedule(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text(
        "[training]\nema = 0.5\n[[training.cycles]]\nepochs = 1\n[[training.cycles]]\nepochs = 2\n"
    )
    record = train(tmp_path, "--precision", "fp16", "--config", file)
    epochs = log(record)
    assert epochs["cycle"].tolist() == [1, 2, 2]
    assert np.isfinite(epochs[["train_loss", "val_loss"]]).all(axis=None)
    assert falls(epochs)
    first, again, half = epochs["learning_rate"]
    assert first == again
    # Steps that fp16's scaler skips, such as the first ones of a training, are no steps of the schedule.
    assert 0.499 * first < half < first


def test_a_step_that_overflows_fp16_is_no_step_of_anything():
    """Schedule, averaged weights and weights stay as they were."""
    torch.manual_seed(0)
    backbone = DensenetFpn(use="patient", dropout=0)
    rows = Rows(
        pd.Index([str(row) for row in range(8)]),
        np.random.default_rng(0).random((8, 3)).astype(np.float32),
        None,
        np.zeros(8, np.int64),
        np.eye(8, 2),
    )
    spec = TrainingSpec(batch_size=8, precision="fp16", ema=0.5)
    training = Training(
        network=backbone.build(2, 32, False),
        backbone=backbone,
        loss=MaskedBce(),
        augmentation=NoAugmentation(),
        task=Task("multilabel", ("A", "B")),
        train=rows,
        val=rows,
        image_size=32,
        crop=0.9,
        seed=0,
        spec=spec,
    )
    step = Step(training, accelerator_for("fp16", torch.device(DEVICE)))
    step.begin_cycle(*cycles_of(spec))
    step.begin_epoch()
    batch = {name: tensor.to(DEVICE) for name, tensor in next(iter(loader(rows, 8))).items()}
    draws = torch.zeros(8, 0, device=DEVICE)

    def weights_after(loss):
        step.take(loss, batch, draws)
        return [parameter.detach().clone() for parameter in step.plain.parameters()]

    before = [parameter.detach().clone() for parameter in step.plain.parameters()]
    after = weights_after(lambda logits, labels: training.loss(logits, labels) * 1e38)
    assert step.optimizer.step_was_skipped
    assert step.average.updates == 0
    assert all(map(torch.equal, before, after))
    for _ in range(20):
        after = weights_after(training.loss)
    assert not step.optimizer.step_was_skipped
    assert 0 < step.average.updates <= 20
    assert not all(map(torch.equal, before, after))


def test_predictions_are_those_of_the_processor(tmp_path, fp32):
    """The same checkpoint on a CPU: neither rounds factors, as TF32 would."""
    _, results = fp32
    (tmp_path / "artifacts").mkdir()
    for kept in ("artifacts/train", "artifacts/labels", "artifacts/manifest", "cache"):
        (tmp_path / kept).symlink_to(results / kept)
    answer = run(tmp_path, *PIXELS, "--device", "cpu", "--precision", "fp32", backbone=None)
    assert answer.json["trainings"] == 0
    assert np.abs(logits(tmp_path) - logits(results)).max() < 1e-3


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


class OnDevice:
    """An augmentation whose tensors lie on the device, for checks whose own do not."""

    def __init__(self, augmentation):
        self.augmentation, self.draws = augmentation, augmentation.draws

    def view(self, pixels, size, crop, draws):
        view = self.augmentation.view(pixels.to(DEVICE), size, crop, draws.to(DEVICE))
        assert view.device.type == DEVICE
        return view.cpu()


AUGMENTATIONS = [component.name for component in installed().registry.all("augmentation")]


@pytest.mark.parametrize("check", CHECKS, ids=str)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_augmentations_do_on_the_device_what_they_must(name, check):
    component = installed().registry.find("augmentation", name)
    check.function(SimpleNamespace(make=lambda: OnDevice(instantiate(component, {}))))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_devices_train_together(tmp_path):
    line = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "0", "-m", "cxrbench"]
    line += ["run", "--dataset", PHANTOM, *PIXELS, "--epochs", "2", "--results", str(tmp_path)]
    subprocess.run([sys.executable, *line], env=subprocess_environment(), check=True, timeout=300)
    assert len(list(tmp_path.glob("runs/*/artifact.json"))) == 1
