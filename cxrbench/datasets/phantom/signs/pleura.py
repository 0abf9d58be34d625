"""Findings between the lung and the chest wall: fluid, air, thickening."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.anatomy import MIDLINE, Box, Thorax, beside
from cxrbench.datasets.phantom.streams import either_side

if TYPE_CHECKING:
    from cxrbench.datasets.phantom.canvas import Canvas


@dataclass(frozen=True, slots=True)
class Effusion:
    """Fluid that blunts the costophrenic angle, its upper edge rising to the chest wall (meniscus)."""

    side: int
    level: float
    rise: float
    box: Box

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Effusion:
        """Draw its place and its size."""
        side = either_side(rng)
        amount = rng.random()
        amount = 0.035 + 0.2 * amount * amount
        angle = thorax.angle(side)
        level, rise = angle - amount, 0.05 + 0.2 * amount
        inner = thorax.crest if level > thorax.dome(side) + 0.02 else thorax.medial
        return cls(side, level, rise, beside(side, inner, level - rise, thorax.width, angle))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (self.box,)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w = canvas.window(self.box)
        d, y = canvas.d[w], canvas.y[w]
        out = np.maximum(d - 0.12, 0.0) * (1 / (canvas.thorax.width - 0.12))
        own = canvas.step(self.side * (canvas.x[w] - MIDLINE), 0.0)
        fluid = canvas.step(y - (self.level - self.rise * out * out), 0.02) * own
        canvas.density[w] += 0.13 * fluid * canvas.cavity[w]
        canvas.air[w] *= 1.0 - 0.97 * fluid


@dataclass(frozen=True, slots=True)
class Pneumothorax:
    """Air round a lung that has come away: a thin pleural edge, beyond it dark and without vessels."""

    side: int
    gap: float
    end: float
    box: Box

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Pneumothorax:
        """Draw its place and its size."""
        side, gap, end = either_side(rng), rng.uniform(0.022, 0.075), rng.uniform(0.45, 0.66)
        return cls(side, gap, end, beside(side, thorax.medial, thorax.top, thorax.width, end))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (self.box,)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w, thorax = canvas.window(self.box), canvas.thorax
        y = canvas.y[w]
        taper = np.minimum(np.maximum((self.end - y) * (1 / (self.end - thorax.top - 0.15)), 0.0), 1.0)
        lowered = replace(thorax, top=thorax.top + 0.7 * self.gap)
        inner = np.asarray(lowered.chest_wall(y)) - self.gap * taper - canvas.d[w]
        own = canvas.step(self.side * (canvas.x[w] - MIDLINE), 0.0) * canvas.step(self.end - y, 0.02)
        free = canvas.step(-inner, 0.006) * own
        canvas.air[w] *= 1.0 + 0.24 * free - 0.1 * taper * own * (1.0 - free)
        canvas.vessels[w] *= 1.0 - free
        canvas.density[w] += 0.13 * canvas.line(inner, 0.007) * own * canvas.cavity[w]


@dataclass(frozen=True, slots=True)
class PleuralThickening:
    """A rind of tissue along the chest wall or over the apex, with the angle left open."""

    side: int
    thickness: float
    top: float
    bottom: float
    box: Box

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> PleuralThickening:
        """Draw its place and its size."""
        side, thickness = either_side(rng), rng.uniform(0.036, 0.06)
        if rng.random() < 0.35:
            top, bottom = thorax.top, thorax.top + rng.uniform(0.12, 0.18)
            inner = thorax.medial
        else:
            top = rng.uniform(0.32, 0.48)
            bottom = min(top + rng.uniform(0.2, 0.3), thorax.dome(side) + 0.01)
            inner = float(thorax.chest_wall(top)) - thickness - 0.01
        outer = float(thorax.chest_wall(bottom))
        return cls(side, thickness, top, bottom, beside(side, inner, top, outer, bottom))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (self.box,)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w, thorax = canvas.window(self.box), canvas.thorax
        y = canvas.y[w]
        along = (2 * y - (self.top + self.bottom)) * (1 / (self.bottom - self.top))
        if self.top == thorax.top:
            along = np.maximum(along, 0.0)
        lens = self.thickness * np.maximum(1.0 - along * along, 0.0)
        lowered = replace(thorax, top=thorax.top + 0.8 * self.thickness)
        edge = lens + canvas.d[w] - np.asarray(lowered.chest_wall(y))
        own = canvas.step(self.side * (canvas.x[w] - MIDLINE), 0.0) * (lens > 0)
        rind = canvas.step(edge, 0.008) * own
        canvas.air[w] *= 1.0 - 0.9 * rind
        canvas.density[w] += 0.05 * rind * canvas.cavity[w]
