"""The batch-balanced loss against its formula, cross-entropy against torch's."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cxrbench.losses.batch_balanced import BatchBalanced
from cxrbench.losses.cross_entropy import CrossEntropy

CLASSES = ("A", "B", "C")
NAN = float("nan")


@pytest.fixture
def logits():
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)


def one_hot(*classes):
    return torch.tensor(np.eye(3)[list(classes)], dtype=torch.float32)


def test_batch_balanced_is_the_published_formula_for_each_label(logits):
    labels = (torch.rand(8, 3, generator=torch.Generator().manual_seed(1)) < 0.3).float()
    labels[2, 1] = NAN
    p = logits.detach().sigmoid()
    positives, negatives = (-p[labels == 1].log()).sum(), (-(1 - p[labels == 0]).log()).sum()
    n_p, n_n = int((labels == 1).sum()), int((labels == 0).sum())
    published = (n_p + n_n) / n_p * positives + (n_p + n_n) / n_n * negatives
    found = BatchBalanced().build(np.zeros((1, 3)), CLASSES)(logits, labels)
    torch.testing.assert_close(found, published / (n_p + n_n))


def test_a_batch_without_positives_has_the_loss_of_its_negatives(logits):
    found = BatchBalanced().build(np.zeros((1, 3)), CLASSES)(logits, torch.zeros(8, 3))
    torch.testing.assert_close(found, F.softplus(logits).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_torchs_on_the_rows_that_are_known(logits, smoothing):
    classes = [0, 1, 2, 0, 0, 1, 2, 2]
    labels = one_hot(*classes)
    labels[3] = NAN
    known = [row for row in range(8) if row != 3]
    found = CrossEntropy(label_smoothing=smoothing).build(np.eye(3), CLASSES)(logits, labels)
    expected = F.cross_entropy(logits[known], torch.tensor(classes)[known], label_smoothing=smoothing)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert not logits.grad[3].any()


def test_balanced_weights_make_classes_weigh_the_same(logits):
    training = np.eye(3)[[0] * 6 + [1] * 3]
    loss = CrossEntropy(weights="balanced").build(training, CLASSES)
    weights = torch.tensor([9 / (3 * 6), 9 / (3 * 3), 1.0])
    classes = torch.tensor([0, 0, 1, 2, 1, 0, 0, 0])
    each = F.cross_entropy(logits, classes, weight=weights, reduction="none")
    torch.testing.assert_close(loss(logits, one_hot(*classes.tolist())), each.mean())


def test_at_chance_cross_entropy_is_the_logarithm_of_the_number_of_classes():
    loss = CrossEntropy().build(np.eye(3), CLASSES)
    assert float(loss(torch.zeros(2, 3), one_hot(0, 2))) == pytest.approx(math.log(3))
