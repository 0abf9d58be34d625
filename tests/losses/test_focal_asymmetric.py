"""Focal and asymmetric loss against torchvision and the formulas written out, also at the edges."""

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits as torch_bce
from torchvision.ops import sigmoid_focal_loss

from cxrbench.losses.asymmetric import Asymmetric
from cxrbench.losses.focal import Focal

CLASSES = ("Effusion", "Mass", "Hernia")
NAN = float("nan")
LOSSES = [
    Focal(),
    Focal(gamma=0.5, alpha=0.25),
    Asymmetric(),
    Asymmetric(gamma_neg=0.5, gamma_pos=0.5, clip=0.0),
    Asymmetric(gamma_neg=0.5, clip=0.2),
]
PLAIN = [Focal(gamma=0.0), Asymmetric(gamma_neg=0.0, gamma_pos=0.0, clip=0.0)]


def build(loss):
    return loss.build(np.zeros((1, 3)), CLASSES)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(64, 3, generator=generator)).requires_grad_()
    labels = (torch.rand(64, 3, generator=generator) < 0.4).float()
    return logits, labels


def written_out(loss, logits, labels):
    """The mean of the published formula over known labels, in float64."""
    logits, labels = logits.double(), labels.double()
    p = logits.sigmoid()
    if isinstance(loss, Focal):
        weights = (1.0, 1.0) if loss.alpha is None else (loss.alpha, 1 - loss.alpha)
        positives = -weights[0] * (1 - p) ** loss.gamma * p.log()
        negatives = -weights[1] * p**loss.gamma * (1 - p).log()
    else:
        shifted = (p - loss.clip).clamp(min=0)
        positives = -((1 - p) ** loss.gamma_pos) * p.log()
        negatives = -(shifted**loss.gamma_neg) * (1 - shifted).log()
        # The derivative of 0^gamma is not finite; the loss is flat there.
        negatives = torch.where(p > loss.clip, negatives, 0.0)
    losses = torch.where(labels == 1, positives, negatives)
    return losses[~labels.isnan()].mean()


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_value_and_gradient_are_those_of_the_formula(batch, loss):
    logits, labels = batch
    labels[::3, 1] = NAN
    value = build(loss)(logits, labels)
    torch.testing.assert_close(value.double(), written_out(loss, logits, labels), rtol=1e-5, atol=1e-7)
    (gradient,) = torch.autograd.grad(value, logits)
    apart = logits.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(written_out(loss, apart, labels), apart)
    flat = expected.isnan()  # 0 * infinity in the formula's own derivative where p <= clip
    torch.testing.assert_close(gradient[~flat].double(), expected[~flat], rtol=1e-4, atol=1e-7)
    assert (gradient[flat] == 0).all()
    assert (gradient[labels.isnan()] == 0).all()


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.5, 0.25), (0.0, 0.75)])
def test_focal_equals_torchvision(batch, gamma, alpha):
    logits, labels = batch
    expected = sigmoid_focal_loss(
        logits, labels, alpha=-1 if alpha is None else alpha, gamma=gamma, reduction="mean"
    )
    torch.testing.assert_close(build(Focal(gamma=gamma, alpha=alpha))(logits, labels), expected)


@pytest.mark.parametrize("loss", PLAIN, ids=str)
def test_without_exponents_it_is_bce(batch, loss):
    logits, labels = batch
    value, expected = build(loss)(logits, labels), torch_bce(logits, labels)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(*(torch.autograd.grad(v, logits)[0] for v in (value, expected)))


def test_negatives_below_the_clip_lose_nothing():
    logits = torch.tensor([[-4.0, -3.0, -2.0]], requires_grad=True)  # p = .018, .047, .119
    value = build(Asymmetric(clip=0.05))(logits, torch.zeros(1, 3))
    value.backward()
    np.testing.assert_array_equal(logits.grad[0] != 0, [False, False, True])


@pytest.mark.parametrize("loss", [*LOSSES, *PLAIN], ids=str)
@pytest.mark.parametrize("far", [20.0, 100.0, 1e4, 1e30])
def test_extreme_logits_stay_finite(loss, far):
    logits = torch.tensor([[far, -far, 0.0], [far, -far, 0.0]], requires_grad=True)
    value = build(loss)(logits, torch.tensor([[0.0, 1.0, NAN], [1.0, 0.0, 1.0]]))
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    # Where the asymmetric loss clips, a hopelessly wrong negative has no gradient, as published.
    assert logits.grad[0, 0] >= 0 > logits.grad[0, 1]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("autocast", [True, False])
def test_computes_in_float32_whatever_the_logits_are(batch, loss, autocast):
    half, labels = batch[0].detach().bfloat16(), batch[1]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        value = build(loss)(half, labels)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, build(loss)(half.float(), labels), rtol=0, atol=0)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_batch_without_labels_is_0_with_a_gradient_of_0(batch, loss):
    logits, labels = batch
    value = build(loss)(logits, torch.full_like(labels, NAN))
    value.backward()
    assert value.item() == 0.0
    assert (logits.grad == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_is_the_same_on_the_device(batch, loss):
    logits, labels = batch
    torch.testing.assert_close(build(loss)(logits.cuda(), labels.cuda()).cpu(), build(loss)(logits, labels))
