"""The losses against torch's own, with unknown labels, weights and autocast."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as torch_bce

from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.losses.bce import Bce
from cxrbench.losses.weighted_bce import PUBLISHED, WeightedBce

CLASSES = ("Effusion", "Mass", "Hernia")
NAN = float("nan")
TRAINING = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, NAN, 0]])


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 3, generator=generator, requires_grad=True)
    labels = (torch.rand(16, 3, generator=generator) < 0.4).float()
    return logits, labels


@pytest.fixture(params=[Bce(), WeightedBce()], ids=["bce", "weighted_bce"])
def loss(request):
    return request.param.build(TRAINING, CLASSES)


def test_bce_equals_torch(batch):
    logits, labels = batch
    torch.testing.assert_close(Bce().build(TRAINING, CLASSES)(logits, labels), torch_bce(logits, labels))


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("log", [np.log(1 + 4 / 2), np.log(1 + 3 / 1), 1.0]),
        ("ratio", [2 / 2, 2 / 1, 1.0]),
        ("published", [1.6668, 2.2459, 3.0943]),
    ],
)
def test_weights_of_positives(batch, weights, expected):
    strategy = WeightedBce(weights=weights)
    np.testing.assert_allclose(strategy.positive_weights(TRAINING, CLASSES), expected)
    logits, labels = batch
    torch.testing.assert_close(
        strategy.build(TRAINING, CLASSES)(logits, labels),
        torch_bce(logits, labels, pos_weight=torch.tensor(expected, dtype=torch.float32)),
    )


def test_ratio_of_a_finding_without_negatives_is_1():
    np.testing.assert_array_equal(
        WeightedBce(weights="ratio").positive_weights(np.ones((3, 1)), ["Mass"]), [1.0]
    )


def test_the_published_table_has_every_nih_finding():
    assert set(PUBLISHED) == set(NIH_FINDINGS)
    weights = WeightedBce(weights="published").positive_weights(np.zeros((1, 14)), NIH_FINDINGS)
    np.testing.assert_array_equal(weights, [PUBLISHED[name] for name in NIH_FINDINGS])


def test_unknown_labels_count_neither_in_the_sum_nor_in_the_mean(batch, loss):
    logits, labels = batch
    known = torch.ones_like(labels, dtype=torch.bool)
    known[::3, 1] = False
    masked = torch.where(known, labels, NAN)
    value = loss(logits, masked)
    plain = torch_bce(logits, labels, pos_weight=loss.positive_weights, reduction="none")
    torch.testing.assert_close(value, plain[known].mean())
    (gradient,) = torch.autograd.grad(value, logits)
    (expected,) = torch.autograd.grad(plain[known].mean(), logits)
    torch.testing.assert_close(gradient, expected)
    assert (gradient[~known] == 0).all()


def test_a_batch_without_labels_is_0_with_a_gradient_of_0(batch, loss):
    logits, labels = batch
    value = loss(logits, torch.full_like(labels, NAN))
    value.backward()
    assert value.item() == 0.0
    assert (logits.grad == 0).all()


def test_extreme_logits_stay_finite(loss):
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = loss(logits, torch.tensor([[0.0, 1.0, NAN]]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("autocast", [True, False])
def test_computes_in_float32_whatever_the_logits_are(batch, loss, autocast):
    logits, labels = batch
    half = logits.detach().bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = loss(half, labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(half.float(), labels), rtol=0, atol=0)


def test_overrides_replace_single_weights():
    weights = WeightedBce(overrides={"Mass": 4.5}).positive_weights(TRAINING, CLASSES)
    np.testing.assert_allclose(weights, [np.log(3), 4.5, 1.0])


def test_an_override_stands_in_for_a_class_that_the_table_lacks():
    strategy = WeightedBce(weights="published", overrides={"No Finding": 2.0})
    np.testing.assert_array_equal(
        strategy.positive_weights(np.zeros((1, 2)), ["Mass", "No Finding"]), [2.2459, 2.0]
    )


@pytest.mark.parametrize(
    ("options", "classes", "message"),
    [
        ({"weights": "published"}, ("Mass", "Fracture"), "none for Fracture"),
        ({"overrides": {"Efusion": 2.0}}, CLASSES, "'Efusion'.*did you mean Effusion"),
        ({"overrides": {"xyz": 2.0}}, CLASSES, "'xyz'.*there are Effusion, Mass, Hernia"),
        ({"overrides": {"Mass": 0.0}}, CLASSES, "Mass by 0; give more than 0"),
        ({"overrides": {"Mass": NAN}}, CLASSES, "Mass by nan; give more than 0"),
    ],
)
def test_what_cannot_be_weighed_is_refused(options, classes, message):
    with pytest.raises(UsageError, match=message):
        WeightedBce(**options).build(np.zeros((2, len(classes))), classes)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_weights_follow_the_logits_to_the_device(batch):
    logits, labels = batch
    loss = WeightedBce().build(TRAINING, CLASSES)
    on_host = loss(logits, labels)
    torch.testing.assert_close(loss(logits.cuda(), labels.cuda()).cpu(), on_host)
