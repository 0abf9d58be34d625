"""A network that sees nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Prior:
    """One bias a class, the same for every image: it learns how frequent each class is and nothing else.

    The baseline of calling what is most frequent (:class:`cxrbench.interfaces.Backbone`). There is no network
    without inputs; this one is handed patient data, for which no image is read, and does not look at it.
    """

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("patient",)
    mean: ClassVar[tuple[float, ...]] = (0.0,)
    std: ClassVar[tuple[float, ...]] = (1.0,)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits; there are no ImageNet weights."""
        return Bias(outputs)


class Bias(nn.Module):
    """The same logits for whatever comes in."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(outputs))
        nn.init.normal_(self.bias, std=0.01)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[B, outputs]``, one row for each of the inputs'."""
        return self.bias.expand(len(inputs), -1)
