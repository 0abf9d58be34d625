"""Checks of explainers (:class:`cxrbench.interfaces.Explainer`), on a small network with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from cxrbench.interfaces import Explainer
from cxrbench.map_layers import MapLayer, layer_of
from cxrbench.testing.check import Check, Subject, require, same

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE, _CLASSES = 32, 3


class _Fused(nn.Module):
    """Maps of an image, pooled, and patient data; what is behind the maps changes them in place."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.BatchNorm2d(6))
        self.head = nn.Linear(9, _CLASSES)

    def forward(self, images: Tensor, patients: Tensor) -> Tensor:
        """Logits ``[B, 3]``."""
        pooled = torch.relu_(self.maps(images)).mean(dim=(2, 3))
        logits: Tensor = self.head(torch.cat([pooled, patients], dim=1))
        return logits


def gives_a_map_of_each_image(subject: Subject) -> None:
    """Maps are float32 [B, S, S] for images of S px, from 0 to 1, or 0 everywhere, with patient data too."""
    maps = _maps(subject, *_example())
    require(maps.shape == (5, _SIDE, _SIDE), f"Of 5 images of {_SIDE} px it gives {maps.shape}.")
    require(maps.dtype == np.float32, f"It gives {maps.dtype}.")
    require(np.isfinite(maps).all() and maps.min() >= 0, "A value is negative or not finite.")
    most = maps.max(axis=(1, 2))
    require((np.isclose(most, 1, atol=1e-4) | (most == 0)).all(), f"The most of each map is {most.tolist()}.")
    require((most > 0).any(), "All maps are 0 everywhere.")


def takes_odd_sizes(subject: Subject) -> None:
    """One image, or images whose side is odd, have maps of their size too."""
    for images, side in ((1, _SIDE), (3, 45)):
        maps = _maps(subject, *_example(images, side))
        shape = (images, side, side)
        require(maps.shape == shape, f"Of {images} images of {side} px it gives {maps.shape}.")


def treats_images_alone(subject: Subject) -> None:
    """An image's map depends on its own pixels, patient data and class, not on others of the batch."""
    network, layer, inputs, classes = _example()
    together = _maps(subject, network, layer, inputs, classes)
    alone = _maps(subject, network, layer, [each[2:3] for each in inputs], classes[2:3])
    require(np.allclose(together[2], alone[0], atol=1e-3), "One image alone has another map.")


def repeats_itself(subject: Subject) -> None:
    """The same network, images and classes give the same maps."""
    once, again = (_maps(subject, *_example()) for _ in range(2))
    require(same(once, again), "A second time the maps are others.")


def leaves_the_network_alone(subject: Subject) -> None:
    """Weights, statistics, gradients, hooks and mode of the network are what they were."""
    network, layer, inputs, classes = _example()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    _maps(subject, network, layer, inputs, classes)
    after = network.state_dict()
    require(all(torch.equal(before[name], after[name]) for name in before), "A weight or statistic changed.")
    require(all(p.requires_grad for p in network.parameters()), "A weight cannot be trained any more.")
    require(all(p.grad is None for p in network.parameters()), "A gradient is left behind.")
    require(not any(module._forward_hooks for module in network.modules()), "A hook is left behind.")
    require(not any(module.training for module in network.modules()), "A module is in training mode.")


CHECKS = tuple(
    map(
        Check,
        (
            gives_a_map_of_each_image,
            takes_odd_sizes,
            treats_images_alone,
            repeats_itself,
            leaves_the_network_alone,
        ),
    )
)


def _example(images: int = 5, side: int = _SIDE) -> tuple[nn.Module, MapLayer, list[Tensor], list[int]]:
    """A network, its layer, images with patient data, and a class for each image."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _Fused().eval()
        inputs = [torch.randn(images, 3, side, side), torch.rand(images, 3)]
    return network, layer_of(network, inputs, "maps"), inputs, [0, 1, 2, 0, 1][:images]


def _maps(
    subject: Subject, network: nn.Module, layer: MapLayer, inputs: list[Tensor], classes: list[int]
) -> NDArray[np.float32]:
    explainer: Explainer = subject.make()
    return explainer.maps(network, layer, inputs, classes)
