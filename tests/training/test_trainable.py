import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from test_loop import SEED, Faulty, same_but_for_times
from torch import nn

from cxrbench.augmentations.none import NoAugmentation
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.backbones.timm_network import TimmNetwork
from cxrbench.errors import UsageError
from cxrbench.heads.dense import DenseHead
from cxrbench.reporter import Reporter
from cxrbench.resizers.learnable import LearnableResizer
from cxrbench.specs import Cycle, TrainingSpec
from cxrbench.task import Task
from cxrbench.training.batches import Rows
from cxrbench.training.loop import train
from cxrbench.training.setting import Training
from cxrbench.training.trainable import frozen_modules

TASK = Task("multilabel", ("A", "B"))
STEPS = 32 // 8


class Backbone:
    """Two convolutions with batch norm, and dropout after the first."""

    inputs, mean, std = ("image",), (0.5,), (0.5,)

    def features(self, image_size, pretrained):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=4),
            nn.BatchNorm2d(4),
            nn.Dropout(0.5),
            nn.Conv2d(4, 6, 3, stride=2),
            nn.BatchNorm2d(6),
            nn.ReLU(),
        )


def network(resizer=None):
    torch.manual_seed(SEED)
    headed = DenseHead(neurons=8).network(Backbone(), 2, 32, False)
    return headed if resizer is None else resizer.network(headed, 1, 32)


def rows(n, seed):
    rng = np.random.default_rng(seed)
    ids = pd.Index([f"{seed}-{row}" for row in range(n)])
    pixels = rng.integers(0, 256, (n, 36, 36), dtype=np.uint8)
    labels = np.stack([pixels.mean(axis=(1, 2)) > 127.5, pixels[:, 0, 0] > 127], axis=1).astype(float)
    return Rows(ids, np.zeros((n, 3), np.float32), pixels, np.arange(n), labels)


def fit(folder, built, loss=None, **settings):
    folder.mkdir(exist_ok=True)
    spec = TrainingSpec(**{"epochs": 2, "batch_size": 8, "precision": "fp32", "select": "loss", **settings})
    training = Training(
        network=built,
        backbone=Backbone(),
        loss=loss or Faulty(),
        augmentation=NoAugmentation(),
        task=TASK,
        train=rows(32, 1),
        val=rows(16, 2),
        image_size=32,
        crop=0.9,
        seed=SEED,
        spec=spec,
    )
    train(training, folder, torch.device("cpu"), Reporter(quiet=True))
    return pd.read_csv(folder / "epochs.csv")


def changed(folder, before):
    """Names in the state after the last epoch that are not as they were before; counts left out."""
    (state,) = folder.glob("state-*")
    after = load_file(state / "weights.safetensors")
    return {
        name
        for name, tensor in after.items()
        if not name.endswith("num_batches_tracked") and not torch.equal(tensor, before[name])
    }


HEAD = {"head.1.weight", "head.1.bias", "head.4.weight", "head.4.bias"}
SECOND = {f"features.3.{each}" for each in ("weight", "bias")}
NORM = {f"features.4.{each}" for each in ("weight", "bias", "running_mean", "running_var")}


@pytest.mark.parametrize(
    ("trainable", "trained"),
    [("head", HEAD), ("4", HEAD | NORM), ("3", HEAD | NORM | SECOND)],
)
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_frozen_stays_as_it_was_statistics_and_all(tmp_path, trainable, trained, ema):
    built = network()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    fit(tmp_path / "t", built, trainable=trainable, ema=ema)
    assert changed(tmp_path / "t", before) == trained
    kept = load_file(tmp_path / "t" / "weights.safetensors")
    for name in before.keys() - trained - {"features.4.num_batches_tracked"}:
        assert torch.equal(kept[name], before[name]), name
    moments = load_file(tmp_path / "t" / "optimizer.safetensors")
    parameters = trained - {f"features.4.running_{each}" for each in ("mean", "var")}
    assert sum(name.endswith(".exp_avg") for name in moments) == len(parameters)


def test_frozen_features_drop_nothing_so_that_they_could_be_computed_once(tmp_path):
    built, seen = network(), []
    built.features.register_forward_hook(lambda module, args, maps: seen.append((args[0], maps)))
    fit(tmp_path / "t", built, trainable="head", epochs=1)
    built.eval()
    with torch.no_grad():
        for images, maps in list(seen):
            assert torch.equal(built.features(images), maps)


def test_a_resizer_is_trained_with_the_head(tmp_path):
    built = network(LearnableResizer(side=32, filters=2))
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    fit(tmp_path / "t", built, trainable="head")
    names = changed(tmp_path / "t", before)
    assert {f"network.{name}" for name in HEAD} < names
    assert "resizer.extract.0.weight" in names
    assert "resizer.extract.4.running_mean" in names
    assert not any(name.startswith("network.features") for name in names)


CYCLES = (Cycle(epochs=2, trainable="head"), Cycle(epochs=2, trainable="3"), Cycle(epochs=1))


def test_a_cycle_can_train_more_than_the_one_before(tmp_path):
    built = network()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    fit(tmp_path / "head", built, cycles=CYCLES[:1])
    assert changed(tmp_path / "head", before) == HEAD
    fit(tmp_path / "more", network(), cycles=CYCLES[:2])
    assert changed(tmp_path / "more", before) == HEAD | NORM | SECOND
    fit(tmp_path / "all", network(), cycles=CYCLES)
    assert {"features.0.weight", "features.1.running_mean"} < changed(tmp_path / "all", before)


@pytest.mark.parametrize(
    ("cut", "settings"),
    [(STEPS + 2, {}), (5 * STEPS - 1, {}), (3 * STEPS + 2, {"optimizer": "rmsprop", "ema": 0.9})],
)
def test_interrupted_in_any_cycle_it_ends_like_an_uninterrupted_one(tmp_path, cut, settings):
    fit(tmp_path / "whole", network(), cycles=CYCLES, **settings)
    failing = Faulty(at=cut, error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", network(), loss=failing, cycles=CYCLES, **settings)
    fit(tmp_path / "cut", network(), cycles=CYCLES, **settings)
    same_but_for_times(tmp_path / "whole", tmp_path / "cut")


def test_killed_after_its_last_epoch_the_optimizer_is_that_of_the_last_cycle(tmp_path):
    fit(tmp_path / "t", network(), cycles=CYCLES)
    before = (tmp_path / "t" / "optimizer.safetensors").read_bytes()
    for path in (tmp_path / "t").glob("optimizer.*"):
        path.unlink()
    fit(tmp_path / "t", network(), cycles=CYCLES)
    assert (tmp_path / "t" / "optimizer.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("trainable", "hint"),
    [("layer4.0.conv", "there are layer4.0.conv"), ("quux", "its first are"), ("", "its first are")],
)
def test_a_layer_that_is_not_there_is_refused_with_the_near_ones(trainable, hint):
    built = DenseHead().network(TimmNetwork(name="resnet10t"), 2, 32, False)
    with pytest.raises(UsageError, match=rf"which has no '{trainable}'; {hint}.*\.$"):
        frozen_modules(built, trainable)


def test_a_network_without_a_head_of_its_own_cannot_train_that_alone():
    with pytest.raises(UsageError, match="leaves nothing to train"):
        frozen_modules(nn.Sequential(nn.Linear(3, 2)), "head")


@pytest.mark.parametrize(
    ("built", "own"),
    [
        (lambda: TimmNetwork(name="resnet10t").build(3, 32, False), ("fc.",)),
        (lambda: DensenetFpn().build(3, 32, False), ("head.", "branches.patient.", "branches.image.p")),
    ],
)
def test_of_a_network_with_its_own_head_that_is_what_pretrained_weights_do_not_fill(built, own):
    whole = built()
    frozen = {id(p) for module in frozen_modules(whole, "head") for p in module.parameters(recurse=False)}
    trained = {name for name, parameter in whole.named_parameters() if id(parameter) not in frozen}
    assert trained == {name for name, _ in whole.named_parameters() if name.startswith(own)}
