"""DenseNet121 with a feature pyramid, fused with patient data.

The network of Enríquez Rodríguez et al., "Computational vision model for multi-label classification of
thoracic diseases" (full report in Spanish). What the report leaves open has a named default here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from annotated_types import Ge, Lt
from timm.models.densenet import DenseNet
from torch import Tensor, nn

from cxrbench.backbones import pretrained as timm_networks
from cxrbench.backbones.weights import PretrainedPart

TRUNK = "densenet121.tv_in1k"
"""timm's DenseNet121; the tag stands for torchvision's ImageNet weights, those that PyTorch users mean."""

C3, C4, C5 = "denseblock2", "denseblock3", "denseblock4"
"""The report taps the *blocks* (``features.denseblock2`` …), before the transition's or the network's
own last normalisation. It gives c4 512 channels; the block has 1,024 and only its transition 512."""
_TAPPED_CHANNELS = {C3: 512, C4: 1024, C5: 1024}
_PYRAMID_CHANNELS = 256
_IMAGE_FEATURES = 256
_PATIENT_VALUES, _PATIENT_FEATURES = 3, 8


@dataclass(frozen=True, kw_only=True)
class DensenetFpn:
    """DenseNet121-FPN with patient data (:class:`cxrbench.interfaces.Backbone`).

    Attributes:
        use: what it sees: the image and the patient data, or one of them alone.
        hidden: width of the dense layer before the logits (not published).
        dropout: rate before the logits (not published).
    """

    use: Literal["both", "image", "patient"] = "both"
    hidden: Annotated[int, Ge(1)] = 128
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.5

    mean: ClassVar[tuple[float, ...]] = timm_networks.IMAGENET_MEAN
    std: ClassVar[tuple[float, ...]] = timm_networks.IMAGENET_STD

    @property
    def inputs(self) -> tuple[Literal["image", "patient"], ...]:
        """What ``forward`` takes, in this order."""
        return ("image", "patient") if self.use == "both" else (self.use,)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits, for images of any size from 32 pixels.

        Raises:
            CxrbenchError: the ImageNet weights cannot be had here.
        """
        branches: dict[str, nn.Module] = {}
        features = 0
        if "image" in self.inputs:
            branches["image"] = ImageBranch(pretrained)
            features += _IMAGE_FEATURES
        if "patient" in self.inputs:
            branches["patient"] = nn.Sequential(nn.Linear(_PATIENT_VALUES, _PATIENT_FEATURES), nn.ReLU())
            features += _PATIENT_FEATURES
        head = nn.Sequential(
            nn.Linear(features, self.hidden),
            nn.ReLU(),
            nn.Dropout(self.dropout),
            nn.Linear(self.hidden, outputs),
        )
        return FusionNetwork(branches, head)


class FusionNetwork(nn.Module):
    """One branch for each input, their features concatenated, and a head on top."""

    pretrained_part = PretrainedPart("branches.image.trunk.", without=("features.norm5", "classifier"))

    @property
    def map_layers(self) -> dict[str, str]:
        """The pyramid's levels, finest first, see :func:`cxrbench.map_layers.named_layers`."""
        if "image" not in self.branches:
            return {}
        return {f"P{3 + level}": f"branches.image.pyramid.smooth.{level}" for level in range(3)}

    def __init__(self, branches: dict[str, nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.head = head

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits ``[B, outputs]`` of one tensor for each branch, in the branches' order."""
        features = [branch(x) for branch, x in zip(self.branches.values(), inputs, strict=True)]
        logits: Tensor = self.head(torch.cat(features, dim=1))
        return logits


class ImageBranch(nn.Module):
    """Images ``[B, 3, S, S]`` to features ``[B, 256]``: trunk, pyramid, pooling, dense layer."""

    def __init__(self, pretrained: bool) -> None:
        super().__init__()
        self.trunk = cast(DenseNet, timm_networks.create(TRUNK, pretrained, num_classes=0))
        # Parameters without a gradient would trouble distributed training.
        del self.trunk.features.norm5
        self.pyramid = FeaturePyramid(list(_TAPPED_CHANNELS.values()), _PYRAMID_CHANNELS)
        self.project = nn.Sequential(
            nn.Linear(_PYRAMID_CHANNELS * len(_TAPPED_CHANNELS), _IMAGE_FEATURES), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features ``[B, 256]``."""
        taps = []
        for name, stage in self.trunk.features.named_children():
            x = stage(x)
            if name in _TAPPED_CHANNELS:
                taps.append(x)
        pooled = [F.adaptive_avg_pool2d(level, 1).flatten(1) for level in self.pyramid(taps)]
        features: Tensor = self.project(torch.cat(pooled, dim=1))
        return features


class FeaturePyramid(nn.Module):
    """Feature pyramid network (Lin et al. 2017): lateral 1×1, top-down nearest ×2 and add, 3×3 smoothing."""

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, kernel_size=1) for c in channels)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, kernel_size=3, padding=1) for _ in channels)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Pyramid levels, finest first, of maps ``[B, channels, H, W]``, finest first.

        A coarser level is brought to the finer one's size, which is ×2 but for images of odd sizes.
        """
        levels = [lateral(m) for lateral, m in zip(self.lateral, maps, strict=True)]
        for finer in reversed(range(len(levels) - 1)):
            size = levels[finer].shape[-2:]
            levels[finer] = levels[finer] + F.interpolate(levels[finer + 1], size=size, mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]
