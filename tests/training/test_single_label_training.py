"""How val is judged where exactly one class is right."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, roc_auc_score
from test_loop import BACKBONE, SEED, rows

from cxrbench.augmentations.none import NoAugmentation
from cxrbench.reporter import Reporter
from cxrbench.specs import TrainingSpec
from cxrbench.task import Task
from cxrbench.training.batches import Rows
from cxrbench.training.checkpoint import load_own_weights
from cxrbench.training.loop import train
from cxrbench.training.setting import Training

TASK = Task("singlelabel", ("A", "B", "C"))


def cross_entropy(logits, labels):
    return torch.nn.functional.cross_entropy(logits, labels)


def one_of_three(n, seed):
    found = rows(n, seed)
    labels = np.eye(3)[found.patient.argmax(axis=1)]
    return Rows(found.image_ids, found.patient, None, found.positions, labels)


def test_decisions_are_the_most_probable_class(tmp_path):
    torch.manual_seed(SEED)
    network = BACKBONE.build(3, 32, False)
    training = Training(
        network=network,
        backbone=BACKBONE,
        loss=cross_entropy,
        augmentation=NoAugmentation(),
        task=TASK,
        train=one_of_three(100, 1),
        val=(val := one_of_three(60, 2)),
        image_size=32,
        crop=0.9,
        seed=SEED,
        spec=TrainingSpec(
            epochs=5,
            batch_size=8,
            precision="fp32",
            select="accuracy",
            optimizer="rmsprop",
            learning_rate=0.01,
        ),
    )
    train(training, tmp_path, torch.device("cpu"), Reporter(quiet=True))
    epochs = pd.read_csv(tmp_path / "epochs.csv")
    best = epochs.loc[epochs["accuracy"].idxmax()]

    judged = BACKBONE.build(3, 32, False).eval()
    load_own_weights(judged, tmp_path / "weights.safetensors")
    with torch.no_grad():
        probabilities = judged(torch.from_numpy(val.patient)).double().softmax(dim=1).numpy()
    true, called = val.labels.argmax(axis=1), probabilities.argmax(axis=1)
    assert best["accuracy"] == pytest.approx(accuracy_score(true, called))
    assert best["accuracy"] > 0.5
    assert best["macro_f1"] == pytest.approx(f1_score(true, called, average="macro"))
    assert best["mean_recall"] == pytest.approx(recall_score(true, called, average="macro"))
    assert best["mean_precision"] == pytest.approx(precision_score(true, called, average="macro"))
    assert best["macro_auc"] == pytest.approx(roc_auc_score(val.labels, probabilities, average="macro"))
