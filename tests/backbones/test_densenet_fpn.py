"""The network against torchvision's DenseNet121 and feature pyramid, and against the report's shapes."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import densenet121
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FeaturePyramidNetwork

from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.backbones.weights import load_weights
from cxrbench.errors import UsageError
from cxrbench.options import instantiate
from cxrbench.registry import Component

COMPONENT = Component(
    "backbone",
    "densenet_fpn",
    "cxrbench.backbones.densenet_fpn:DensenetFpn",
    "1",
    "DenseNet121-FPN",
    "cxrbench",
)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return DensenetFpn().build(outputs=14, image_size=64, pretrained=False)


def batch(n: int, side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, side, side, generator=generator), torch.rand(n, 3, generator=generator)


def test_parameters_are_those_of_the_report(network: nn.Module) -> None:
    trunk = (
        6_953_856 - 2 * 1024
    )  # DenseNet121 without its classifier, and without the norm after the last tap
    lateral = 512 * 256 + 256 + 2 * (1024 * 256 + 256)
    smooth = 3 * (256 * 256 * 9 + 256)
    project = 768 * 256 + 256
    patient = 3 * 8 + 8
    head = 264 * 128 + 128 + 128 * 14 + 14
    total = sum(p.numel() for p in network.parameters())
    assert total == trunk + lateral + smooth + project + patient + head == 9_610_798


@pytest.mark.parametrize("side", [64, 75])
@pytest.mark.parametrize("train", [False, True])
def test_forward_equals_torchvisions_parts(side: int, train: bool, tmp_path) -> None:
    """The same weights through torchvision's trunk and pyramid, and the report's dense layers by hand."""
    torch.manual_seed(1)
    network = DensenetFpn(dropout=0.0).build(14, side, pretrained=False)
    trunk = densenet121(weights=None)
    torch.save(trunk.state_dict(), tmp_path / "densenet121.pth")
    load_weights(network, tmp_path / "densenet121.pth")
    image_branch = network.branches["image"]
    pyramid = FeaturePyramidNetwork([512, 1024, 1024], 256)
    for i in range(3):
        pyramid.inner_blocks[i][0].load_state_dict(image_branch.pyramid.lateral[i].state_dict())
        pyramid.layer_blocks[i][0].load_state_dict(image_branch.pyramid.smooth[i].state_dict())
    taps = create_feature_extractor(
        trunk, {f"features.denseblock{i}": name for i, name in ((2, "c3"), (3, "c4"), (4, "c5"))}
    )
    for module in (network, taps, pyramid):
        module.train(train)
    x, patient = batch(3, side)

    with torch.no_grad():
        maps = taps(x)
        assert [m.shape[1] for m in maps.values()] == [512, 1024, 1024]
        levels = pyramid(OrderedDict(maps))
        pooled = torch.cat([level.mean(dim=(2, 3)) for level in levels.values()], dim=1)
        assert pooled.shape == (3, 768)
        image_features = F.relu(image_branch.project[0](pooled))
        patient_features = F.relu(network.branches["patient"][0](patient))
        fused = torch.cat([image_features, patient_features], dim=1)
        assert fused.shape == (3, 264)
        expected = network.head[3](F.relu(network.head[0](fused)))
        torch.testing.assert_close(network(x, patient), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n", "side"), [(1, 32), (3, 33), (2, 47), (5, 64), (1, 101)])
def test_any_batch_and_any_size_from_32(network: nn.Module, n: int, side: int) -> None:
    network.eval()
    with torch.no_grad():
        assert network(*batch(n, side)).shape == (n, 14)


def test_channels_last_changes_nothing_but_speed(network: nn.Module) -> None:
    network.eval()
    x, patient = batch(2, 64)
    with torch.no_grad():
        expected = network(x, patient)
        other = DensenetFpn().build(14, 64, pretrained=False).eval()
        other.load_state_dict(network.state_dict())
        other = other.to(memory_format=torch.channels_last)
        logits = other(x.to(memory_format=torch.channels_last), patient)
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("use", ["both", "image", "patient"])
def test_every_parameter_learns_under_autocast(use: str) -> None:
    """No parameter without a gradient: such a one stops distributed training."""
    torch.manual_seed(2)
    backbone = DensenetFpn(use=use)
    network = backbone.build(14, 32, pretrained=False).to(memory_format=torch.channels_last).train()
    by_name = dict(zip(("image", "patient"), batch(4, 32), strict=True))
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(*(by_name[name] for name in backbone.inputs))
    logits.float().square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_uses_only_what_it_is_told_to() -> None:
    assert DensenetFpn().inputs == ("image", "patient")
    assert DensenetFpn(use="image").inputs == ("image",)
    assert DensenetFpn(use="patient").inputs == ("patient",)
    image_only = DensenetFpn(use="image").build(5, 32, pretrained=False).eval()
    assert image_only(batch(2, 32)[0]).shape == (2, 5)
    assert "patient" not in image_only.branches


def test_patient_data_alone_need_no_imagenet_weights() -> None:
    network = DensenetFpn(use="patient", hidden=16).build(14, 224, pretrained=True)
    assert network(batch(6, 32)[1]).shape == (6, 14)
    assert sum(p.numel() for p in network.parameters()) == (3 * 8 + 8) + (8 * 16 + 16) + (16 * 14 + 14)


def test_learns_a_bright_image_from_a_dark_one() -> None:
    torch.manual_seed(3)
    network = DensenetFpn(use="image", dropout=0.0).build(1, 32, pretrained=False).train()
    labels = torch.tensor([[0.0], [1.0]] * 4)
    images = batch(8, 32)[0] * 0.2 + labels[:, :, None, None]
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(8):
        loss = F.binary_cross_entropy_with_logits(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_random_weights_come_from_the_global_seed() -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return DensenetFpn().build(14, 64, pretrained=False).state_dict()

    first, again, other = weights(5), weights(5), weights(6)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.0.weight"], other["head.0.weight"])


def test_dropout_works_in_training_only() -> None:
    network = DensenetFpn(use="patient", hidden=64, dropout=0.5).build(14, 64, pretrained=False)
    patient = batch(4, 32)[1]
    assert not torch.equal(network.train()(patient), network(patient))
    assert torch.equal(network.eval()(patient), network(patient))


def test_exports_whole(network: nn.Module) -> None:
    network.eval()
    inputs = batch(2, 32)
    with torch.no_grad():
        exported = torch.export.export(network, inputs).module()
        torch.testing.assert_close(exported(*inputs), network(*inputs))


def test_options_are_checked_before_any_work() -> None:
    backbone = instantiate(COMPONENT, {"use": "image", "hidden": "64", "dropout": "0.1"})
    assert backbone == DensenetFpn(use="image", hidden=64, dropout=0.1)
    for options in ({"use": "sound"}, {"dropout": "1"}, {"hidden": "0"}, {"width": "3"}):
        with pytest.raises(
            UsageError, match=r"its options are use \(both\), hidden \(128\), dropout \(0\.5\)"
        ):
            instantiate(COMPONENT, options)


def test_normalisation_has_one_value_a_channel() -> None:
    assert len(DensenetFpn().mean) == len(DensenetFpn().std) == 3
