"""Checks of backbones, made of a part that stands on or in front of a small one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from cxrbench.interfaces import Backbone
from cxrbench.testing import backbones
from cxrbench.testing.check import Check, Subject


@dataclass(frozen=True)
class SmallBackbone:
    """A backbone with maps (:class:`cxrbench.interfaces.FeatureBackbone`) that computes in a moment."""

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)
    mean: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5)
    std: ClassVar[tuple[float, ...]] = (0.25, 0.25, 0.25)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits."""
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, outputs))
        return nn.Sequential(self.features(image_size, pretrained), pooled)

    def features(self, image_size: int, pretrained: bool) -> nn.Module:
        """Maps ``[B, 8, S/4, S/4]``."""
        return nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.BatchNorm2d(8), nn.ReLU())


class WithoutMaps:
    """A backbone that is its own head."""

    inputs: ClassVar[tuple[Literal["image", "patient"], ...]] = ("image",)
    mean: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5)
    std: ClassVar[tuple[float, ...]] = (0.25, 0.25, 0.25)

    def build(self, outputs: int, image_size: int, pretrained: bool) -> nn.Module:
        """The network with ``outputs`` logits."""
        return SmallBackbone().build(outputs, image_size, pretrained)


def checks_of(assemble: Callable[[Any], Backbone]) -> Iterator[Check]:
    """The checks of backbones, of what ``assemble`` makes of a component."""

    @dataclass(frozen=True)
    class Assembled(Subject):
        def make(self) -> Any:
            return assemble(Subject.make(self))

    for check in backbones.CHECKS:

        @functools.wraps(check.function)
        def function(subject: Subject, check: Check = check) -> None:
            check.function(Assembled(subject.component, subject.options, subject.root))

        yield Check(function, check.long)
