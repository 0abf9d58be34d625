"""A resizer that is learnt with the network behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn

from cxrbench.resizers.resized import Resized


@dataclass(frozen=True, kw_only=True)
class LearnableResizer:
    """The resizer of Talebi and Milanfar, "Learning to Resize Images for Computer Vision Tasks", 2021.

    Attributes:
        side: of the images that it hands on.
        blocks: residual blocks (the paper's ``r``).
        filters: of each convolution but the last (the paper's ``n``).
        slope: of LeakyReLU where its input is negative.
    """

    side: Annotated[int, Ge(1)] = 227
    blocks: Annotated[int, Ge(1)] = 1
    filters: Annotated[int, Ge(1)] = 16
    slope: Annotated[float, Ge(0)] = 0.2

    def size(self, image_size: int) -> int:
        """Its own, whatever comes in."""
        return self.side

    def network(self, network: nn.Module, channels: int, image_size: int) -> nn.Module:
        """``network`` behind the resizer."""
        return Resized(ResizerNetwork(channels, self.side, self.blocks, self.filters, self.slope), network)


class ResizerNetwork(nn.Module):
    """Images ``[B, channels, S, S]`` to ``[B, channels, side, side]``.

    Features are found at the images' own size, resized, refined, and added to the resized images. The second
    convolution is one of 1×1, which alone gives the 12,163 parameters (statistics of batch norms counted)
    published for one block of 16 filters.
    """

    def __init__(self, channels: int, side: int, blocks: int, filters: int, slope: float) -> None:
        super().__init__()
        self.side = side
        self.extract = nn.Sequential(
            nn.Conv2d(channels, filters, kernel_size=7, padding=3),
            nn.LeakyReLU(slope),
            nn.Conv2d(filters, filters, kernel_size=1),
            nn.LeakyReLU(slope),
            nn.BatchNorm2d(filters),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(filters, slope) for _ in range(blocks)))
        self.refine = nn.Sequential(_conv(filters), nn.BatchNorm2d(filters))
        self.project = nn.Conv2d(filters, channels, kernel_size=7, padding=3)

    def forward(self, images: Tensor) -> Tensor:
        """Resized images ``[B, channels, side, side]``."""
        bottleneck = self._resized(self.extract(images))
        features = self.refine(self.blocks(bottleneck)) + bottleneck
        resized: Tensor = self.project(features) + self._resized(images)
        return resized

    def _resized(self, images: Tensor) -> Tensor:
        return F.interpolate(images, size=(self.side, self.side), mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """Two convolutions of 3×3 around what goes past them."""

    def __init__(self, filters: int, slope: float) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            _conv(filters),
            nn.BatchNorm2d(filters),
            nn.LeakyReLU(slope),
            _conv(filters),
            nn.BatchNorm2d(filters),
        )

    def forward(self, features: Tensor) -> Tensor:
        """``[B, filters, side, side]``, as it comes in."""
        changed: Tensor = self.convolutions(features) + features
        return changed


def _conv(filters: int) -> nn.Conv2d:
    return nn.Conv2d(filters, filters, kernel_size=3, padding=1, bias=False)
