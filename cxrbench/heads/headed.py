"""A head on the maps of a backbone."""

from __future__ import annotations

from torch import Tensor, nn

from cxrbench.backbones.trial import for_images_of, tried_out
from cxrbench.backbones.weights import PretrainedPart
from cxrbench.errors import UsageError
from cxrbench.interfaces import Backbone


class Headed(nn.Module):
    """Features and a head, apart from each other, so that either can be run alone.

    Attributes:
        features: images ``[B, channels, S, S]`` to maps ``[B, C, h, w]``.
        head: maps to logits ``[B, outputs]``.
        pretrained_part: what a file of the backbone's weights fits.
    """

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self.pretrained_part = PretrainedPart.within(features, "features")

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, outputs]`` of images ``[B, channels, S, S]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


def maps_of(backbone: Backbone, image_size: int, pretrained: bool) -> tuple[nn.Module, tuple[int, int, int]]:
    """The features of a backbone (:class:`cxrbench.interfaces.FeatureBackbone`), and their maps' ``C, h, w``.

    Raises:
        UsageError: the backbone has no maps, or none of images of this size.
        CxrbenchError: ImageNet weights cannot be had here.
    """
    name = type(backbone).__name__
    features_of = getattr(backbone, "features", None)
    if features_of is None or backbone.inputs != ("image",):
        raise UsageError(
            f"The backbone {name} has no maps that another head could be put on; use --head own, or a "
            "backbone such as torchvision/densenet121."
        )
    features: nn.Module = features_of(image_size, pretrained)
    with for_images_of(image_size, f"The backbone {name}", "give a larger --image-size"):
        maps = tried_out(features, len(backbone.mean), image_size)
    if maps.ndim != 4:
        raise UsageError(
            f"The backbone {name} gives features of {maps.ndim} dimensions, not maps, so that no other head "
            "can be put on it; use --head own."
        )
    _, channels, height, width = maps.shape
    return features, (channels, height, width)
