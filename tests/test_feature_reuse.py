"""A frozen network is run once over the data; heads trained on what is stored of it become the same."""

import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import PHANTOM, invoke, job_of
from safetensors.numpy import load_file

from cxrbench.predictions import Predictions
from cxrbench.stages import features
from cxrbench.workflow import runs

FROZEN = {
    "backbone": "timm/test_resnet",
    "head": "dense:neurons=8,dropout=0.3,l2=0.01",
    "augmentation": "none",
    "image_size": 32,
    "training": {"epochs": 3, "precision": "fp32", "trainable": "head", "batch_size": 16},
}


def trained(results, **given):
    """A trained network: its job, weights and log."""
    job = job_of(results, **{**FROZEN, **given})
    folder = job.train().folder
    return job, load_file(folder / "weights.safetensors"), pd.read_csv(folder / "epochs.csv")


@pytest.fixture
def without_reuse(monkeypatch):
    """Has a job run the whole network, as where its features are not stored."""
    return lambda: monkeypatch.setattr(runs, "are_stored", lambda spec, backbone: False)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"sampler": "fpn_fusion", "training": {**FROZEN["training"], "epochs": 1}, "images_per_role": 60},
        {"head": "dense:pooling=flatten,layers=0"},
        {
            "head": "dense:pooling=lse,neurons=8",
            "training": {
                **FROZEN["training"],
                "ema": 0.9,
                "cycles": [{"epochs": 2}, {"epochs": 1, "learning_rate": 1e-4}],
            },
        },
    ],
    ids=["pooled", "mirrored copies", "maps", "log-sum-exp, cycles and averaged weights"],
)
def test_a_head_on_stored_features_becomes_what_it_becomes_without(tmp_path, without_reuse, given):
    job, weights, epochs = trained(tmp_path / "stored", **given)
    stored = list((tmp_path / "stored" / "artifacts" / "features").iterdir())
    assert len(stored) == (3 if "sampler" in given else 2)
    without_reuse()
    plain_job, plain_weights, plain_epochs = trained(tmp_path / "plain", **given)
    assert not (tmp_path / "plain" / "artifacts" / "features").exists()

    assert job.steps.train.key == plain_job.steps.train.key
    assert weights.keys() == plain_weights.keys()
    for name, tensor in weights.items():
        np.testing.assert_allclose(tensor, plain_weights[name], rtol=1e-3, atol=1e-5, err_msg=name)
    for column in ("train_loss", "val_loss", "macro_auc"):
        np.testing.assert_allclose(epochs[column], plain_epochs[column], rtol=1e-3, err_msg=column)


def test_predictions_are_those_of_the_whole_network(tmp_path, without_reuse):
    def predictions(results):
        job = job_of(results, **FROZEN)
        job.do()
        folders = {role: job._store.read(step.id).folder for role, step in job.steps.predictions.items()}
        return {role: Predictions.read(path / "predictions.parquet").table for role, path in folders.items()}

    stored = predictions(tmp_path)
    # The same checkpoint, run whole.
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(tmp_path / "artifacts" / "predict")
    shutil.rmtree(tmp_path / "artifacts" / "features")
    without_reuse()
    for role, whole in predictions(tmp_path).items():
        np.testing.assert_allclose(stored[role], whole, rtol=1e-4, atol=1e-6)
    assert not (tmp_path / "artifacts" / "features").exists()


def test_five_heads_and_two_losses_run_the_frozen_network_once_for_each_role(tmp_path, monkeypatch):
    passes = []
    plain = features.run
    monkeypatch.setattr(features, "run", lambda *given: (passes.append(len(given[4])), plain(*given)))
    settings = [
        {"head": "dense:neurons=8"},
        {"head": "dense:neurons=16,dropout=0.5"},
        {"head": "dense:layers=0"},
        {"loss": "bce"},
        {"training": {**FROZEN["training"], "epochs": 1, "learning_rate": 0.1}},
    ]
    keys = {trained(tmp_path, **given)[0].steps.train.key for given in settings}
    assert len(keys) == len(settings)
    data = job_of(tmp_path, **FROZEN)._data
    assert sorted(passes) == sorted(len(data.image_ids(role)) for role in ("train", "val"))


@pytest.mark.parametrize(
    "given",
    [
        {"augmentation": "affine"},
        {"resizer": "learnable:side=32", "image_size": 40},
        {"training": {**FROZEN["training"], "trainable": "layer4"}},
        {"training": {**FROZEN["training"], "cycles": [{}, {"trainable": "all"}]}},
        {"head": "own"},
    ],
    ids=["augmented", "resized", "partly frozen", "unfrozen later", "no head apart"],
)
def test_where_the_frozen_part_sees_other_images_or_changes_nothing_is_stored(tmp_path, given):
    assert job_of(tmp_path, **{**FROZEN, **given}).plan().features == {}


def test_random_weights_of_another_seed_have_features_of_their_own(tmp_path):
    same, other = (job_of(tmp_path, **{**FROZEN, "seed": seed}).plan().features for seed in (0, 1))
    assert same.keys().isdisjoint(other)


def test_a_plan_says_the_disk_that_features_take_and_features_take_it(tmp_path):
    job = job_of(tmp_path, **FROZEN)
    planned = job.plan().features
    job.do()
    sizes = {
        f"features/{path.parent.name}": path.stat().st_size
        for path in tmp_path.glob("artifacts/features/*/features.npy")
    }
    assert planned.keys() == sizes.keys()
    # What is behind is the head of an .npy file.
    assert all(0 <= sizes[name] - size <= 128 for name, size in planned.items())
    assert job_of(tmp_path, **FROZEN).plan().features == {}
    dry = invoke(
        *("run", "--dry-run", "--dataset", PHANTOM, "--backbone", "timm/test_resnet", "--set", "head=dense"),
        *("--augmentation", "none", "--image-size", "32", "--set", "training.trainable=head"),
        *("--results", tmp_path / "other"),
    )
    assert "features stored" in dry.stdout


def test_features_go_with_the_garbage_and_come_back_the_same(tmp_path):
    trained(tmp_path)
    folders = list((tmp_path / "artifacts" / "features").iterdir())
    before = {path.name: np.load(path / "features.npy") for path in folders}
    assert invoke("store", "gc", "--results", tmp_path).exit_code == 0
    assert not list((tmp_path / "artifacts").glob("features/*"))
    trained(tmp_path, head="dense:neurons=4")
    for name, values in before.items():
        np.testing.assert_array_equal(
            np.load(tmp_path / "artifacts" / "features" / name / "features.npy"), values
        )
