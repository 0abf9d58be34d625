"""The fused network of the four-class study: maps of three depths side by side.

After Pang et al., "A novel fused convolutional neural network for biomedical image classification", 2018, as
Giannini, Serra and Simoni, "Chest X-ray Image Classification", University of Pisa, 2022, build it:
convolutions with a bias, each followed by ReLU, and layer norm over the channels. What they leave to their
library's defaults is at torch's here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from cxrbench.heads.dense import DenseHead


@dataclass(frozen=True, kw_only=True)
class FusedCnn:
    """Five convolutions, and maps of three of them (:class:`cxrbench.interfaces.FeatureBackbone`).

    With the learnable resizer in front, 9,211,847 parameters for four classes; images of 250 px become 227.

    Attributes:
        base: the fifth convolution's maps alone: what the study compares it with.
    """

    base: bool = False

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)
    mean: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with its own head: average, twice 2,048 neurons; there are no ImageNet weights.

        Raises:
            UsageError: images of this size leave no maps, or maps that do not fit together.
        """
        return DenseHead(layers=2, neurons=2048).network(self, outputs, image_size, pretrained)

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """Its maps: ``[B, 608, 6, 6]`` (``base``: ``[B, 256, 6, 6]``) of images of 227 px."""
        return FusedMaps(self.base)


class FusedMaps(nn.Module):
    """Images ``[B, 3, S, S]`` to maps ``[B, 608, h, w]``, of all three depths or of the last alone."""

    def __init__(self, base: bool) -> None:
        super().__init__()
        self.base = base
        self.conv1 = nn.Sequential(nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.MaxPool2d(3, 2))
        self.norm1 = ChannelNorm(96)
        self.conv2 = nn.Sequential(nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2))
        self.norm2 = ChannelNorm(256)
        self.conv3 = nn.Sequential(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU())
        self.conv4 = nn.Sequential(nn.Conv2d(384, 384, 3, padding=1), nn.ReLU())
        self.conv5 = nn.Sequential(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2))
        # The shallow maps are taken before their norms.
        self.shallow1 = nn.MaxPool2d(7, 4)
        self.shallow2 = nn.MaxPool2d(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        """The maps of images."""
        first = self.conv1(images)
        second = self.conv2(self.norm1(first))
        fifth: Tensor = self.conv5(self.conv4(self.conv3(self.norm2(second))))
        if self.base:
            return fifth
        return torch.cat([self.shallow1(first), self.shallow2(second), fifth], dim=1)


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of maps ``[B, C, h, w]``, at each place by itself."""

    def forward(self, maps: Tensor) -> Tensor:
        """The maps, normalised."""
        return super().forward(maps.movedim(1, -1)).movedim(-1, 1)
