from __future__ import annotations

import pytest
import torch

from cxrbench.backbones.timm_network import TimmNetwork
from cxrbench.errors import UsageError


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet18", 64),
        ("mobilenetv3_small_050", 48),
        ("vit_tiny_patch16_224", 64),  # built for another size than its own
        ("vit_tiny_patch16_224", 224),
        ("levit_128s", 64),
        ("levit_128s.fb_dist_in1k", 64),
    ],
)
def test_builds_any_network_for_the_image_size(name: str, side: int) -> None:
    backbone = TimmNetwork(name=name)
    network = backbone.build(outputs=5, image_size=side, pretrained=False)
    assert network.training
    assert backbone.inputs == ("image",)
    logits = network(torch.randn(3, len(backbone.mean), side, side))
    assert logits.shape == (3, 5)
    logits.sum().backward()


def test_normalisation_is_that_of_the_published_weights() -> None:
    assert TimmNetwork(name="resnet18").mean == (0.485, 0.456, 0.406)
    vit = TimmNetwork(name="vit_base_patch16_224.augreg_in21k")
    assert vit.mean == vit.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet_18", "timm/resnet18"),
        ("densnet121", "timm/densenet121"),
        ("resnet18.tv_in", "timm/resnet18.tv_in1k"),
    ],
)
def test_an_unknown_name_is_refused_with_the_near_ones(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=rf"has no network '{name}'; did you mean .*{near}"):
        TimmNetwork(name=name)


def test_a_name_like_no_other_is_refused_too() -> None:
    with pytest.raises(UsageError, match=r"has no network 'q'; see timm\.list_models"):
        TimmNetwork(name="q")


@pytest.mark.parametrize(
    ("name", "side", "own"),
    [("inception_v3", 32, 299), ("vit_tiny_patch16_224", 8, 224), ("efficientformer_l1", 64, 224)],
)
def test_a_size_that_the_network_cannot_take_is_refused_before_training(
    name: str, side: int, own: int
) -> None:
    with pytest.raises(UsageError, match=f"timm/{name} cannot take images of {side} px .*own size is {own}"):
        TimmNetwork(name=name).build(14, side, pretrained=False)


def test_drop_rate_reaches_the_network() -> None:
    network = TimmNetwork(name="resnet18", drop_rate=0.5).build(14, 32, pretrained=False)
    features = network.forward_features(torch.randn(2, 3, 32, 32)).detach()
    assert not torch.equal(network.forward_head(features), network.forward_head(features))
    network.eval()
    assert torch.equal(network.forward_head(features), network.forward_head(features))
