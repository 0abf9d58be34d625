"""Findings within the lung: what fills, scars or collapses it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.anatomy import MIDLINE, Box, Thorax, around, beside
from cxrbench.datasets.phantom.streams import either_side

if TYPE_CHECKING:
    from cxrbench.datasets.phantom.canvas import Canvas


@dataclass(frozen=True, slots=True)
class Patches:
    """Infiltration: a few faint ill-defined patches in one part of a lung."""

    spots: tuple[tuple[float, float, float], ...]
    fill: float

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Patches:
        """Draw its place and its size."""
        side = either_side(rng)
        x, y = thorax.spot(rng, side, 0.075, top=0.15)
        spots = [(x, y, rng.uniform(0.04, 0.055))]
        for _ in range(3 + int(3 * rng.random())):
            u, v = rng.uniform(-0.055, 0.055), rng.uniform(-0.085, 0.085)
            spots.append((x + u, y + v, rng.uniform(0.028, 0.045)))
        return cls(tuple(spots), rng.uniform(0.26, 0.5))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        lows = [min(spot[i] - spot[2] for spot in self.spots) for i in (0, 1)]
        highs = [max(spot[i] + spot[2] for spot in self.spots) for i in (0, 1)]
        return ((lows[0], lows[1], highs[0], highs[1]),)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        (box,) = self.boxes()
        w = canvas.window(box)
        clear = np.ones_like(canvas.x[w])
        for x, y, r in self.spots:
            u, v = canvas.x[w] - x, canvas.y[w] - y
            clear *= 1.0 - self.fill * np.maximum(1.0 - (u * u + v * v) * (1 / (r * r)), 0.0)
        canvas.air[w] *= clear


@dataclass(frozen=True, slots=True)
class Cloud:
    """Pneumonia: one mottled segment low in a lung, densest in its middle, fading outwards."""

    x: float
    y: float
    a: float
    b: float
    fill: float

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Cloud:
        """Draw its place and its size."""
        a, b = rng.uniform(0.085, 0.115), rng.uniform(0.09, 0.13)
        x, y = thorax.spot(rng, either_side(rng), 0.09, top=0.55)
        return cls(x, y, a, b, rng.uniform(0.45, 0.9))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (around(self.x, self.y, self.a, self.b),)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w = canvas.window(around(self.x, self.y, self.a, self.b))
        u, v = (canvas.x[w] - self.x) * (1 / self.a), (canvas.y[w] - self.y) * (1 / self.b)
        cloud = np.maximum(1.0 - (u * u + v * v), 0.0)
        mottled = np.minimum(np.maximum(1.0 + 0.9 * canvas.texture[w], 0.0), 1.3)
        canvas.air[w] *= np.maximum(1.0 - self.fill * cloud * mottled, 0.05)
        canvas.vessels[w] *= 1.0 - cloud


@dataclass(frozen=True, slots=True)
class LobarConsolidation:
    """Consolidation: a lobe solid from chest wall to hilum, sharp at its fissure, air left in its bronchi."""

    side: int
    top: float
    bottom: float
    slope: float
    fissure_below: bool
    fill: float
    box: Box

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> LobarConsolidation:
        """Draw its place and its size."""
        side = either_side(rng)
        upper = rng.random() < 0.5
        if upper:
            top, bottom = thorax.top + 0.02, thorax.hilum + rng.uniform(-0.03, 0.05)
        else:
            top = thorax.hilum + rng.uniform(0.04, 0.09)
            bottom = top + rng.uniform(0.15, 0.2)
        slope = rng.uniform(-0.12, 0.12)
        fall = slope * (thorax.width - thorax.medial)
        box = beside(
            side,
            thorax.medial,
            top if upper else min(top, top + fall),
            float(thorax.chest_wall(bottom)),
            max(bottom, bottom - fall) if upper else bottom,
        )
        return cls(side, top, bottom, slope, upper, rng.uniform(0.25, 0.75), box)

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (self.box,)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w, thorax = canvas.window(self.box), canvas.thorax
        d, y = canvas.d[w], canvas.y[w]
        tilt = self.slope * (d - thorax.width)
        if self.fissure_below:
            lobe = canvas.step(y - self.top, 0.07) * canvas.step(self.bottom + tilt - y, 0.008)
            root, fans = thorax.hilum - 0.03, (-0.75, -0.1, 0.55)
        else:
            lobe = canvas.step(y - self.top + tilt, 0.008) * canvas.step(self.bottom - 0.03 - y, 0.07)
            root, fans = thorax.hilum + 0.03, (-0.2, 0.45, 1.1)
        lobe *= canvas.step(self.side * (canvas.x[w] - MIDLINE), 0.0)
        bronchi = np.zeros_like(d)
        for fan in fans:
            middle = root + fan * (d - 0.05)
            bronchi += canvas.line(y - middle + 0.012 * canvas.texture[w], 0.006)
        np.minimum(bronchi, 1.0, out=bronchi)
        bronchi *= canvas.step(0.26 - d, 0.03)
        canvas.air[w] *= 1.0 - lobe * self.fill * (1.0 - 0.45 * bronchi)
        canvas.vessels[w] *= 1.0 - lobe


@dataclass(frozen=True, slots=True)
class Edema:
    """Fluid in both lungs: haze spreading from the hila like wings, short septal lines at the bases."""

    haze: float
    lungs: tuple[Box, Box]

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Edema:
        """Draw its place and its size."""
        sides = tuple(
            beside(side, thorax.medial, thorax.hilum - 0.19, thorax.width - 0.02, thorax.dome(side))
            for side in (-1, 1)
        )
        return cls(rng.uniform(0.12, 0.5), (sides[0], sides[1]))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return self.lungs

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        thorax = canvas.thorax
        for box in self.lungs:
            w = canvas.window(box, margin=0.0)
            d, y = canvas.d[w], canvas.y[w]
            u, v = (d - 0.09) * (1 / 0.2), (y - thorax.hilum - 0.06) * (1 / 0.25)
            wing = np.maximum(1.0 - u * u - v * v, 0.0)
            canvas.air[w] *= 1.0 - self.haze * wing * (1.0 + 0.4 * canvas.texture[w])
            canvas.vessels[w] *= 1.0 + 0.6 * wing
            low, high = thorax.dome(1) - 0.14, thorax.dome(1) - 0.02
            septa = canvas.step(np.minimum(np.minimum(y - low, high - y), 0.05 - canvas.edge[w]), 0.01)
            phase = y * (1 / 0.028)
            stripes = canvas.line((phase - np.floor(phase) - 0.5) * 0.028, 0.004)
            canvas.density[w] += 0.07 * septa * stripes * canvas.cavity[w]


@dataclass(frozen=True, slots=True)
class Fibrosis:
    """A net of fine lines at both bases, with shrunken lungs."""

    strength: float
    spacing: float
    bases: tuple[Box, Box]

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Fibrosis:
        """Draw its place and its size."""
        height = rng.uniform(0.13, 0.24)
        sides = tuple(
            beside(side, thorax.medial, thorax.dome(side) - height, thorax.width, thorax.angle(side))
            for side in (-1, 1)
        )
        return cls(rng.uniform(0.15, 0.5), rng.uniform(0.036, 0.046), (sides[0], sides[1]))

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return self.bases

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        for box in self.bases:
            w = canvas.window(box, margin=0.0)
            x, y = canvas.x[w], canvas.y[w]
            warp = 0.03 * canvas.texture[w]
            net = np.zeros_like(x)
            for along in (0.8 * x + 0.6 * y + warp, 0.7 * x - 0.7 * y + 0.7 * warp):
                phase = along * (1 / self.spacing)
                np.maximum(net, canvas.line((phase - np.floor(phase) - 0.5) * self.spacing, 0.008), out=net)
            fade = np.minimum(np.maximum((y - box[1]) * 8.0, 0.0), 1.0)
            canvas.air[w] *= 1.0 - self.strength * fade * (0.15 + 0.85 * net)
            canvas.vessels[w] *= 1.0 - 0.8 * fade


def shrink(rng: Random, thorax: Thorax) -> Thorax:
    """Raise both domes and the heart with them."""
    up = rng.uniform(0.01, 0.03)
    right, left = thorax.domes
    x, y, a, b = thorax.heart
    return replace(thorax, domes=(right - up, left - up), heart=(x, y - up, a, b))


@dataclass(frozen=True, slots=True)
class Atelectasis:
    """Collapsed lung: dense bands across the base, the diaphragm drawn up under them."""

    side: int
    bands: tuple[tuple[float, float, float, float, float], ...]
    box: Box

    @classmethod
    def place(cls, rng: Random, thorax: Thorax) -> Atelectasis:
        """Draw its place and its size."""
        # The raised dome says on which side: it was drawn when the thorax was reshaped.
        side = -1 if thorax.domes[0] < thorax.domes[1] else 1
        bands = []
        inner = max(thorax.medial, thorax.heart_reach(side) - 0.04) + 0.01
        y = thorax.dome(side) - rng.uniform(0.03, 0.05)
        for _ in range(1 + (rng.random() < 0.6)):
            start = inner + rng.uniform(0.0, 0.03)
            end = min(start + rng.uniform(0.15, 0.22), thorax.width - 0.02)
            bands.append((start, end, y, rng.uniform(-0.3, 0.15), rng.uniform(0.013, 0.02)))
            y -= rng.uniform(0.06, 0.08)
        top = min(b[2] + min(0.0, b[3] * (b[1] - b[0])) - b[4] for b in bands)
        box = beside(side, thorax.medial, top - 0.01, thorax.width, thorax.angle(side))
        return cls(side, tuple(bands), box)

    def boxes(self) -> Iterable[Box]:
        """See :class:`Sign`."""
        return (self.box,)

    def draw(self, canvas: Canvas) -> None:
        """See :class:`Sign`."""
        w = canvas.window(self.box)
        d, y = canvas.d[w], canvas.y[w]
        own = canvas.step(self.side * (canvas.x[w] - MIDLINE), 0.0)
        for start, end, height, slope, half in self.bands:
            band = canvas.line(y - height - slope * (d - start), half)
            band *= canvas.step(np.minimum(d - start, end - d) - 0.02, 0.06)
            canvas.air[w] *= 1.0 - 0.85 * band * own


def draw_up(rng: Random, thorax: Thorax) -> Thorax:
    """Raise one dome."""
    up = rng.uniform(0.035, 0.055)
    right, left = thorax.domes
    # The right dome is the higher one in health; the left must pass it to be seen.
    domes = (right - up, left) if either_side(rng) < 0 else (right, right - up + 0.01)
    return replace(thorax, domes=domes)
