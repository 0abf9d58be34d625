"""Checks of heads (:class:`cxrbench.interfaces.Head`): on a small backbone, those of backbones."""

from __future__ import annotations

from torch import nn

from cxrbench.architecture import Architecture
from cxrbench.errors import UsageError
from cxrbench.interfaces import Backbone, Head
from cxrbench.resizers.none import NoResizer
from cxrbench.testing.assembled import SmallBackbone, WithoutMaps, checks_of
from cxrbench.testing.check import Check, Subject, require


def takes_or_refuses_a_backbone_without_maps(subject: Subject) -> None:
    """On a backbone that has no 'features' it makes a network, or raises UsageError."""
    head: Head = subject.make()
    try:
        network = head.network(WithoutMaps(), 3, 32, False)
    except UsageError:
        return
    require(isinstance(network, nn.Module), f"It gives {type(network).__name__}.")


def _on_a_small_backbone(head: Head) -> Backbone:
    return Architecture(SmallBackbone(), head, NoResizer())


CHECKS = (*checks_of(_on_a_small_backbone), Check(takes_or_refuses_a_backbone_without_maps))
