"""Two plain networks of the four-class study, trained from scratch.

Giannini, Serra and Simoni, "Chest X-ray Image Classification" (No Finding, Effusion, Infiltration or
Atelectasis), University of Pisa, 2022: the first and the second model. Convolutions have a bias and keep the
size of their maps, but for their stride; each is followed by ReLU. What the text leaves to its library's
defaults is at torch's here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import nn

from cxrbench.heads.dense import DenseHead


@dataclass(frozen=True, kw_only=True)
class ScratchCnnA:
    """The first model: fourteen convolutions, 512 maps (:class:`cxrbench.interfaces.FeatureBackbone`).

    The text lists one pooling more before the last convolution, for which its 8,192 = 512 × 4 × 4 leave no
    room. 4,741,188 parameters for four classes and images of 227 px.
    """

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)
    mean: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with its own head: the maps flattened, 128 neurons; there are no ImageNet weights.

        Raises:
            UsageError: images of this size leave no maps.
        """
        return DenseHead(pooling="flatten", neurons=128).network(self, outputs, image_size, pretrained)

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """Its convolutions: ``[B, 512, 4, 4]`` of images of 227 px."""
        pool = nn.MaxPool2d(2, stride=1)
        return nn.Sequential(
            *[*_conv(3, 32, 11), *_conv(32, 32, 11), *_conv(32, 32, 5), nn.MaxPool2d(2)],
            *[*_conv(32, 64, 5, stride=2), *_conv(64, 64, 5), pool],
            *[*_conv(64, 64, 5, stride=2), *_conv(64, 64, 5), pool],
            *[*_conv(64, 128, 3, stride=2), *_conv(128, 128, 3), pool],
            *[*_conv(128, 128, 3, stride=2), *_conv(128, 128, 3), pool],
            *[*_conv(128, 256, 3), *_conv(256, 256, 3), pool],
            *[*_conv(256, 256, 3), pool],
            *_conv(256, 512, 3),
        )


@dataclass(frozen=True, kw_only=True)
class ScratchCnnB:
    """The second model: six convolutions, ever more and ever smaller filters.

    2,859,588 parameters for four classes.
    """

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)
    mean: ClassVar[tuple[float, ...]] = (0.0, 0.0, 0.0)
    std: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with its own head: the largest value of each map; there are no ImageNet weights.

        Raises:
            UsageError: images of this size leave no maps.
        """
        return DenseHead(pooling="max", layers=0).network(self, outputs, image_size, pretrained)

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """Its convolutions: ``[B, 512, S/32, S/32]``."""
        return nn.Sequential(
            *[*_conv(3, 32, 11), nn.MaxPool2d(2)],
            *[*_conv(32, 64, 5), nn.MaxPool2d(2)],
            *[*_conv(64, 128, 5), nn.MaxPool2d(2)],
            *[*_conv(128, 256, 5), nn.MaxPool2d(2)],
            *[*_conv(256, 256, 3), nn.MaxPool2d(2)],
            *_conv(256, 512, 3),
        )


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2), nn.ReLU()
