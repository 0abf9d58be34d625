"""A head of dense layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Lt
from torch import nn

from cxrbench.heads.headed import Headed, maps_of
from cxrbench.heads.pooling import Pooling

if TYPE_CHECKING:
    from cxrbench.interfaces import Backbone


class Dense(nn.Linear):
    """A dense layer whose weight (not its bias) is kept small.

    Attributes:
        l2: as in Keras, the loss grows by ``l2`` times the sum of the squared weights. Optimizers do it as a
            weight decay of ``2 l2`` (:func:`cxrbench.training.schedule.optimizer_of`); AdamW decouples that.
    """

    def __init__(self, inputs: int, outputs: int, l2: float) -> None:
        super().__init__(inputs, outputs)
        self.l2 = l2


@dataclass(frozen=True, kw_only=True)
class DenseHead:
    """Pooled or flattened maps, dense layers with ReLU and dropout, and logits.

    Attributes:
        pooling: over the maps' area: their ``average``, ``max`` or ``lse`` (log-sum-exp,
            :class:`cxrbench.heads.pooling.Pooling`); or ``flatten`` for the maps as they are.
        r: of ``lse``: the larger, the nearer to the maximum.
        layers: dense layers before the logits.
        neurons: of each of them.
        dropout: rate behind each of them.
        l2: of all dense layers, the logits' too; see :class:`Dense`.
    """

    pooling: Literal["average", "max", "lse", "flatten"] = "average"
    r: Annotated[float, Gt(0)] = 10.0
    layers: Annotated[int, Ge(0)] = 1
    neurons: Annotated[int, Ge(1)] = 256
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    l2: Annotated[float, Ge(0)] = 0.0

    def network(self, backbone: Backbone, outputs: int, image_size: int, pretrained: bool) -> Headed:
        """The backbone's features with this head.

        Raises:
            UsageError: the backbone has no maps, or none of images of this size.
            CxrbenchError: ImageNet weights cannot be had here.
        """
        features, (channels, height, width) = maps_of(backbone, image_size, pretrained)
        parts: list[nn.Module]
        if self.pooling == "flatten":
            parts, inputs = [nn.Flatten()], channels * height * width
        else:
            parts, inputs = [Pooling(self.pooling, self.r)], channels
        for _ in range(self.layers):
            parts += [Dense(inputs, self.neurons, self.l2), nn.ReLU(), nn.Dropout(self.dropout)]
            inputs = self.neurons
        return Headed(features, nn.Sequential(*parts, Dense(inputs, outputs, self.l2)))
