import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss, precision_recall_curve, roc_auc_score

from cxrbench.augmentations.none import NoAugmentation
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.errors import CxrbenchError
from cxrbench.losses.bce import Bce
from cxrbench.reporter import Reporter
from cxrbench.specs import TrainingSpec
from cxrbench.task import Task
from cxrbench.training.batches import Rows, SeededOrder
from cxrbench.training.checkpoint import load_own_weights
from cxrbench.training.loop import train
from cxrbench.training.setting import Training

TASK = Task("multilabel", ("A", "B"))
BACKBONE = DensenetFpn(use="patient")
TIMES = ("seconds", "step_ms", "images_per_second")
SEED = 3


def rows(n, seed, known=True):
    rng = np.random.default_rng(seed)
    patient = rng.random((n, 3)).astype(np.float32)
    labels = (patient[:, :2] + rng.normal(0, 0.5, (n, 2)) > 0.7).astype(float)
    if not known:
        labels[:] = 0.0
    ids = pd.Index([f"image-{seed}-{row:03d}" for row in range(n)])
    return Rows(ids, patient, None, np.zeros(n, np.int64), labels)


def training(*, loss=None, val=None, cycle_losses=(), **settings):
    spec = TrainingSpec(**{"epochs": 6, "batch_size": 8, "precision": "fp32", **settings})
    torch.manual_seed(SEED)
    network = BACKBONE.build(2, 32, False)
    loss = loss or Bce().build(np.zeros((1, 2)), TASK.classes)
    if hasattr(loss, "network"):
        loss.network = network
    return Training(
        network=network,
        backbone=BACKBONE,
        loss=loss,
        augmentation=NoAugmentation(),
        task=TASK,
        train=rows(100, 1),
        val=rows(60, 2) if val is None else val,
        image_size=32,
        crop=0.9,
        seed=SEED,
        spec=spec,
        cycle_losses=cycle_losses,
    )


def fit(folder, **settings):
    folder.mkdir(exist_ok=True)
    train(training(**settings), folder, torch.device("cpu"), Reporter(quiet=True))
    return pd.read_csv(folder / "epochs.csv")


def val_probabilities(folder):
    network = BACKBONE.build(2, 32, False).eval()
    load_own_weights(network, folder / "weights.safetensors")
    with torch.no_grad():
        return torch.sigmoid(network(torch.from_numpy(rows(60, 2).patient))).double().numpy()


def figures(probabilities):
    labels = rows(60, 2).labels
    best = []
    for column in range(2):
        _, _, thresholds = precision_recall_curve(labels[:, column], probabilities[:, column])
        best.append(max(f1_score(labels[:, column], probabilities[:, column] >= t) for t in thresholds))
    fixed = {
        f"{name}_at_{t}": np.mean([figure(labels[:, c], probabilities[:, c] >= t) for c in range(2)])
        for name, figure in (("macro_f1", f1_score), ("auc_binarized", balanced_accuracy_score))
        for t in (0.4, 0.5, 0.6)
    }
    return {
        **fixed,
        "macro_auc": roc_auc_score(labels, probabilities, average="macro"),
        "macro_f1": np.mean(best),
        "val_loss": np.mean([log_loss(labels[:, c], probabilities[:, c]) for c in range(2)]),
    }


@pytest.mark.parametrize(
    ("select", "column", "sign"),
    [("macro_auc", "macro_auc", 1), ("macro_f1", "macro_f1", 1), ("loss", "val_loss", -1)],
)
def test_the_kept_weights_are_those_of_the_epoch_that_is_best_in_what_was_asked(
    tmp_path, select, column, sign
):
    epochs = fit(tmp_path / "t", select=select, schedule="constant", learning_rate=0.05, epochs=9)
    best = int((sign * epochs[column]).idxmax())
    assert best != len(epochs) - 1, "the last epoch being best would show nothing"
    assert np.flatnonzero(epochs["best"])[-1] == best
    assert figures(val_probabilities(tmp_path / "t"))[column] == pytest.approx(epochs[column][best], abs=1e-5)


def test_each_epoch_is_also_judged_at_the_published_thresholds(tmp_path):
    epochs = fit(tmp_path / "t", schedule="constant", learning_rate=0.05)
    kept = epochs[epochs["best"]].iloc[-1]
    expected = figures(val_probabilities(tmp_path / "t"))
    fixed = [name for name in expected if "_at_" in name]
    assert kept[fixed].tolist() == pytest.approx([expected[name] for name in fixed])
    assert epochs["macro_f1_at_0.4"].nunique() > 1


def test_training_stops_after_so_many_epochs_without_a_better_one(tmp_path):
    epochs = fit(tmp_path / "t", early_stopping=2, schedule="constant", learning_rate=0.05, epochs=40)
    assert len(epochs) < 40
    assert len(epochs) - 1 - np.flatnonzero(epochs["best"])[-1] == 2


def test_the_log_is_the_same_as_csv_and_as_json_lines(tmp_path):
    epochs = fit(tmp_path / "t", epochs=3)
    lines = [json.loads(line) for line in (tmp_path / "t" / "epochs.jsonl").read_text().splitlines()]
    assert list(epochs.columns) == list(lines[0])
    assert epochs["epoch"].tolist() == [line["epoch"] for line in lines] == [1, 2, 3]
    assert epochs["train_loss"].tolist() == pytest.approx([line["train_loss"] for line in lines])
    steps = pd.read_csv(tmp_path / "t" / "steps.csv")
    assert steps.groupby("epoch")["step"].max().tolist() == [100 // 8] * 3
    for epoch, of_epoch in steps.groupby("epoch"):
        assert epochs["train_loss"][epoch - 1] == pytest.approx(of_epoch["loss"].mean())
    assert (steps["seconds"] > 0).all()


def test_the_result_and_the_last_state_are_left(tmp_path):
    fit(tmp_path / "t", epochs=2)
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == [
        "epochs.csv",
        "epochs.jsonl",
        "optimizer.json",
        "optimizer.safetensors",
        "state-000002",
        "steps.csv",
        "weights.safetensors",
    ]


class Faulty:
    """BCE that breaks at one call during training, or always on val."""

    def __init__(self, at=None, error=None, value=None, val=None):
        self.inner = Bce().build(np.zeros((1, 2)), TASK.classes)
        self.calls, self.at, self.error, self.value, self.val = 0, at, error, value, val

    def __call__(self, logits, labels):
        loss = self.inner(logits, labels)
        if not torch.is_grad_enabled():
            return loss if self.val is None else loss * self.val
        self.calls += 1
        if self.calls == self.at:
            if self.error is not None:
                raise self.error
            return loss * self.value
        return loss


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_names_epoch_step_and_images(tmp_path, value):
    per_epoch = 100 // 8
    epoch, step = 2, 5
    with pytest.raises(CxrbenchError) as caught:
        fit(tmp_path / "t", loss=Faulty(at=per_epoch + step, value=value))
    order = SeededOrder(100, SEED)
    order.epoch = epoch
    ids = rows(100, 1).image_ids[list(order)[(step - 1) * 8 : step * 8]]
    message = str(caught.value)
    assert f"epoch {epoch}, step {step}" in message
    assert ", ".join(ids[:4]) in message
    assert "--learning-rate" in message


def same_but_for_times(one, other):
    def read(folder):
        with (folder / "epochs.csv").open() as file:
            return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]

    assert read(one) == read(other)
    for name in ("weights.safetensors", "optimizer.safetensors", "optimizer.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    "settings",
    [
        {"schedule": "cosine"},
        {"schedule": "plateau", "plateau_patience": 0, "learning_rate": 0.05},
        {"schedule": "constant", "optimizer": "adamw", "weight_decay": 0.1, "clip_norm": 0},
        {"early_stopping": 2, "learning_rate": 0.05},
        {"precision": "bf16"},
        {"schedule": "cosine", "val": rows(60, 2, known=False)},
        {"schedule": "plateau", "loss_on_val": float("nan")},
    ],
    ids=["cosine", "plateau", "adamw", "early stopping", "bf16", "undefined AUC", "undefined val loss"],
)
def test_an_interrupted_training_ends_like_an_uninterrupted_one(tmp_path, settings):
    settings = dict(settings)
    val_loss = settings.pop("loss_on_val", None)
    fit(tmp_path / "whole", loss=Faulty(val=val_loss), **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "cut", loss=Faulty(at=2 * 12 + 7, error=KeyboardInterrupt(), val=val_loss), **settings)
    assert list((tmp_path / "cut").glob("state-*"))
    fit(tmp_path / "cut", loss=Faulty(val=val_loss), **settings)
    same_but_for_times(tmp_path / "whole", tmp_path / "cut")


def test_the_rate_is_halved_on_a_plateau(tmp_path):
    epochs = fit(
        tmp_path / "t", schedule="plateau", plateau_patience=0, loss=Faulty(val=0.0), epochs=4
    )  # val loss is 0 from the first epoch on, and never lower
    assert epochs["learning_rate"].tolist() == pytest.approx([1e-3, 1e-3, 5e-4, 2.5e-4])


@pytest.mark.parametrize(("min_delta", "cuts"), [(None, 0), (0.0, 0), (0.2, 2)])
def test_val_loss_is_lower_from_the_least_difference_on(tmp_path, min_delta, cuts):
    class Falling(Faulty):
        """A val loss of 1, .9, .8, …"""

        left = 1.1

        def __call__(self, logits, labels):
            if torch.is_grad_enabled():
                return super().__call__(logits, labels)
            self.left -= 0.1
            return torch.tensor(self.left)

    epochs = fit(
        tmp_path / "t",
        schedule="plateau",
        plateau_patience=0,
        plateau_min_delta=min_delta,
        loss=Falling(),
        epochs=5,
    )
    # With .2, .9 is no better than 1, .8 is not yet (both are cut), .7 is.
    assert epochs["learning_rate"].iloc[-1] == pytest.approx(1e-3 / 2**cuts)


def test_no_schedule_goes_below_the_lowest_rate(tmp_path):
    epochs = fit(
        tmp_path / "p",
        schedule="plateau",
        plateau_patience=0,
        plateau_factor=0.1,
        min_lr=3e-4,
        loss=Faulty(val=0.0),
        epochs=4,
    )
    assert epochs["learning_rate"].tolist() == pytest.approx([1e-3, 1e-3, 3e-4, 3e-4])
    fit(tmp_path / "c", schedule="cosine", min_lr=3e-4, epochs=2)
    groups = json.loads((tmp_path / "c" / "optimizer.json").read_text())["param_groups"]
    assert groups[0]["lr"] == pytest.approx(3e-4)


@pytest.mark.parametrize(("batch_size", "images"), [(8, 8), (512, 100)])
def test_images_a_second_are_those_that_were_taken(tmp_path, batch_size, images):
    epochs = fit(tmp_path / "t", epochs=1, batch_size=batch_size)
    assert (epochs["images_per_second"] * epochs["step_ms"] / 1e3).tolist() == pytest.approx([images])


def test_a_cosine_ends_at_zero(tmp_path):
    epochs = fit(tmp_path / "t", schedule="cosine", epochs=4)
    expected = [1e-3 * (1 + np.cos(np.pi * done / 4)) / 2 for done in range(4)]
    assert epochs["learning_rate"].tolist() == pytest.approx(expected)
    groups = json.loads((tmp_path / "t" / "optimizer.json").read_text())["param_groups"]
    assert groups[0]["lr"] == pytest.approx(0, abs=1e-12)
