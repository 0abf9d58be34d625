"""The network of a run: a backbone, the head on it and the resizer in front of it, as one backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from cxrbench.interfaces import Backbone, Head, Resizer
from cxrbench.options import make
from cxrbench.registry import Kind, Registry
from cxrbench.specs import RunSpec

if TYPE_CHECKING:
    from torch import nn


NETWORK_KINDS: tuple[Kind, ...] = ("backbone", "head", "resizer")
"""The kinds of component that a network is made of."""


@dataclass(frozen=True)
class Architecture:
    """A backbone with its head and resizer (itself a :class:`cxrbench.interfaces.Backbone`)."""

    backbone: Backbone
    head: Head
    resizer: Resizer

    @property
    def inputs(self) -> tuple[Literal["image", "patient"], ...]:
        """What the network's ``forward`` takes, in this order."""
        return self.backbone.inputs

    @property
    def mean(self) -> tuple[float, ...]:
        """Subtracted from each channel's pixels in 0..1."""
        return self.backbone.mean

    @property
    def std(self) -> tuple[float, ...]:
        """What each channel is then divided by."""
        return self.backbone.std

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The whole network, for images of ``image_size``; see :meth:`cxrbench.interfaces.Backbone.build`.

        Raises:
            UsageError: the parts do not go together, or not with images of this size.
            CxrbenchError: ImageNet weights cannot be had here.
        """
        size = self.resizer.size(image_size)
        network = self.head.network(self.backbone, outputs, size, pretrained)
        return self.resizer.network(network, len(self.mean), image_size)


def classes_of(backbone: Backbone) -> tuple[str, ...]:
    """What a network tells (:class:`cxrbench.interfaces.PublishedBackbone`); empty where it learns any."""
    return tuple(getattr(backbone, "classes", ()))


def architecture_of(spec: RunSpec, registry: Registry) -> Architecture:
    """The network that a run trains.

    Raises:
        UsageError: a component or an option is unknown.
    """
    return Architecture(
        make(spec.backbone, "backbone", registry),
        make(spec.head, "head", registry),
        make(spec.resizer, "resizer", registry),
    )
