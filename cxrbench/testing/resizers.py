"""Checks of resizers (:class:`cxrbench.interfaces.Resizer`): before a small one, those of backbones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cxrbench.architecture import Architecture
from cxrbench.heads.own import OwnHead
from cxrbench.interfaces import Backbone, Resizer
from cxrbench.testing.assembled import SmallBackbone, checks_of
from cxrbench.testing.check import Check, Subject, require


class _Seeing(nn.Module):
    """A network that keeps the shape of its images."""

    def __init__(self) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        self.shape = tuple(images.shape)
        return images.mean(dim=(2, 3))


def hands_on_images_of_its_size(subject: Subject) -> None:
    """The network behind it gets images [B, channels, size, size], for each size and number of channels."""
    resizer: Resizer = subject.make()
    for channels in (1, 3):
        for side in (48, 33):
            seeing = _Seeing()
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                network = resizer.network(seeing, channels, side)
                network(torch.zeros(2, channels, side, side))
            size = resizer.size(side)
            require(seeing.shape == (2, channels, size, size), f"Of {side} px it gets {seeing.shape}.")


def _before_a_small_backbone(resizer: Resizer) -> Backbone:
    return Architecture(SmallBackbone(), OwnHead(), resizer)


CHECKS = (*checks_of(_before_a_small_backbone), Check(hands_on_images_of_its_size))
