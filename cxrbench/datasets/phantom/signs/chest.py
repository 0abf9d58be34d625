"""Findings of the whole chest: a large heart, overinflated lungs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from cxrbench.datasets.phantom.anatomy import Box, Thorax

if TYPE_CHECKING:
    from cxrbench.datasets.phantom.canvas import Canvas


@dataclass(frozen=True, slots=True)
class LargeHeart:
    """Cardiomegaly: the heart takes more than half of the chest's width."""

    heart: Box

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> LargeHeart:
        """Draw its place and its size."""
        return cls(thorax.heart_box())

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (self.heart,)

    def draw(self, canvas: Canvas) -> None:
        """Nothing to add: the thorax has the large heart."""


def enlarge_heart(rng: Random, thorax: Thorax) -> Thorax:
    """Widen the heart, more to the patient's left."""
    x, y, a, b = thorax.heart
    growth = rng.uniform(1.14, 1.55)
    a = min(a * growth, 0.22)
    return replace(thorax, heart=(x + 0.25 * (a - thorax.heart[2]), y - 0.01, a, b * rng.uniform(1.05, 1.2)))


@dataclass(frozen=True, slots=True)
class Overinflation:
    """Emphysema: large dark lungs, few vessels, flat low diaphragm, narrow heart."""

    lungs: tuple[Box, Box]

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Overinflation:
        """Draw its place and its size."""
        return cls((thorax.lung_box(-1), thorax.lung_box(1)))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return self.lungs

    def draw(self, canvas: Canvas) -> None:
        """Nothing to add: the thorax has the large dark lungs."""


def overinflate(rng: Random, thorax: Thorax) -> Thorax:
    """Widen, lengthen and darken the lungs; flatten the diaphragm."""
    much = rng.uniform(0.35, 1.0)
    x, y, a, b = thorax.heart
    low = 0.05 * much
    right, left = thorax.domes
    return replace(
        thorax,
        width=thorax.width * (1 + 0.05 * much),
        domes=(right + low, left + low),
        drop=thorax.drop * (1 - 0.6 * much),
        heart=(x - 0.008, y + 0.5 * low, a * (1 - 0.14 * much), b * 1.04),
        air=thorax.air + 0.075 * much,
        vessels=thorax.vessels * (1 - 0.55 * much),
    )
