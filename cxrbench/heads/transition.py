"""The head of ChestX-ray8: a transition layer, global pooling, a prediction layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt
from torch import nn

from cxrbench.heads.headed import Headed, maps_of
from cxrbench.heads.pooling import Area, Pooling

if TYPE_CHECKING:
    from cxrbench.interfaces import Backbone


@dataclass(frozen=True, kw_only=True)
class TransitionHead:
    """Maps of any backbone in one shape, pooled over their area, and logits.

    Wang et al., "ChestX-ray8", 2017: transition layer, global pooling layer, prediction layer. What the layer
    is made of is not said there: here a convolution of 1×1 and ReLU. The prediction layer's weights on the
    transition's maps give a class activation map.

    Attributes:
        channels: of the transition's maps.
        side: of the transition's maps, to which the backbone's are resized (bilinearly); 0 leaves them.
        pooling: over the maps' area; see :class:`cxrbench.heads.pooling.Pooling`.
        r: of ``lse``: the larger, the nearer to the maximum.
    """

    channels: Annotated[int, Ge(1)] = 1024
    side: Annotated[int, Ge(0)] = 0
    pooling: Area = "average"
    r: Annotated[float, Gt(0)] = 10.0

    def network(self, backbone: Backbone, outputs: int, image_size: int, pretrained: bool) -> Headed:
        """The backbone's features with this head.

        Raises:
            UsageError: the backbone has no maps, or none of images of this size.
            CxrbenchError: ImageNet weights cannot be had here.
        """
        features, (channels, _, _) = maps_of(backbone, image_size, pretrained)
        resize = [nn.Upsample((self.side, self.side), mode="bilinear")] if self.side else []
        return Headed(
            features,
            nn.Sequential(
                *resize,
                nn.Conv2d(channels, self.channels, kernel_size=1),
                nn.ReLU(),
                Pooling(self.pooling, self.r),
                nn.Linear(self.channels, outputs),
            ),
        )
