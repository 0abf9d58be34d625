"""Findings with an outline: nodules, masses, the hernia."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.anatomy import MIDLINE, Box, Thorax, around
from cxrbench.datasets.phantom.streams import either_side

if TYPE_CHECKING:
    from cxrbench.datasets.phantom.canvas import Canvas


@dataclass(frozen=True, slots=True)
class Rounds:
    """Nodules (radius up to .03 of the film, some 3 cm across) or a mass (more than that)."""

    circles: tuple[tuple[float, float, float], ...]
    lobes: tuple[float, float]
    fill: float

    @classmethod
    def nodules(cls, rng: Random, thorax: Thorax) -> Rounds:
        """Draw its place and its size."""
        number = 1 + (rng.random() < 0.35) + (rng.random() < 0.15)
        radii = [rng.uniform(0.021, 0.031) for _ in range(number)]
        circles = tuple((*thorax.spot(rng, either_side(rng), radius), radius) for radius in radii)
        return cls(circles, (0.0, 0.0), rng.uniform(0.6, 0.95))

    @classmethod
    def mass(cls, rng: Random, thorax: Thorax) -> Rounds:
        """Draw its place and its size."""
        radius = rng.uniform(0.045, 0.08)
        circle = (*thorax.spot(rng, either_side(rng), radius), radius)
        return cls((circle,), (rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)), rng.uniform(0.4, 0.85))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (around(x, y, r, r) for x, y, r in self.circles)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        for x, y, r in self.circles:
            w = canvas.window(around(x, y, r, r))
            if any(self.lobes):
                u, v = (0.4 * r * lobe for lobe in self.lobes)
                main = canvas.ellipse(x + u, y + v, 0.8 * r, 0.8 * r, width=0.012, window=w)
                lobe = canvas.ellipse(x - u, y - v, 0.74 * r, 0.8 * r, width=0.012, window=w)
                shape = np.maximum(main, lobe)
            else:
                shape = canvas.ellipse(x, y, r, r, width=0.01, window=w)
            canvas.air[w] *= 1.0 - self.fill * shape
            canvas.density[w] += 0.03 * self.fill * shape * canvas.cavity[w]


@dataclass(frozen=True, slots=True)
class Hernia:
    """Stomach above the diaphragm: a round shadow behind the heart with air over a fluid level."""

    x: float
    y: float
    radius: float
    level: float

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Hernia:
        """Draw its place and its size."""
        radius = rng.uniform(0.058, 0.085)
        return cls(
            MIDLINE + rng.uniform(-0.015, 0.05),
            thorax.dome(1) - 0.55 * radius,
            radius,
            rng.uniform(-0.1, 0.35),
        )

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (around(self.x, self.y, self.radius, self.radius),)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w = canvas.window(around(self.x, self.y, self.radius, self.radius))
        sac = canvas.ellipse(self.x, self.y, self.radius, self.radius, width=0.01, window=w)
        inner = 0.84 * self.radius
        lumen = canvas.ellipse(self.x, self.y, inner, inner, width=0.01, window=w)
        gas = lumen * canvas.step(self.y + self.level * self.radius - canvas.y[w], 0.006)
        canvas.air[w] *= 1.0 - 0.8 * sac
        canvas.density[w] += 0.09 * sac - 0.33 * gas
