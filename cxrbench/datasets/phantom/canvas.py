"""The canvas that anatomy and signs are drawn on: coordinates, soft edges, smooth noise.

Everything is a continuous function of position, evaluated at pixel centres with edges no sharper than
a pixel, so that the same picture appears at every resolution. The arithmetic is NumPy's elementwise
float64, which differs between machines in the last bit at most.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.anatomy import MIDLINE, TILT, Box, Pose, Thorax

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Window = tuple[slice, slice]


class Canvas:
    """A film in the making: coordinates, and what lies where.

    Attributes:
        x, y: body coordinates of every pixel.
        d: distance from the midline.
        edge: distance inwards from the chest wall.
        floor: height of the diaphragm.
        cavity: 1 inside the lungs' space (behind the heart too), 0 outside.
        air: attenuation that the lungs' air takes away.
        vessels: strength of the lung markings.
        density: attenuation of everything else.
        pixel: size of a pixel in body coordinates.
    """

    def __init__(self, thorax: Thorax, pose: Pose, side: int, texture: Random) -> None:
        self.thorax, self._pose, self._side, self._texture = thorax, pose, side, texture
        self.pixel = 1 / (side * pose.zoom)
        column, row = _grid(side)
        self.x, self.y = pose.to_body(column, row)
        offset = self.x - MIDLINE
        self.d = np.abs(offset)
        self.edge = thorax.chest_wall(self.y) - self.d
        dome = np.where(offset < 0, *thorax.domes)
        self.floor = np.asarray(thorax.diaphragm(self.d, dome))
        inside = np.minimum(np.minimum(self.edge, self.floor - self.y), self.d - thorax.medial)
        self.cavity = self.step(inside, 0.012)
        heart = self.ellipse(*thorax.heart, width=0.016, tilt=TILT)
        pedicle = (MIDLINE + 0.012, thorax.hilum + 0.08, thorax.medial + 0.024, 0.19)
        heart = np.maximum(heart, self.ellipse(*pedicle, width=0.02))
        self.air = self.cavity * (thorax.air - 0.85 * thorax.air * heart)
        self.vessels = np.full_like(self.air, thorax.vessels)
        self.density = 0.6 + 0.12 * heart

    def step(self, distance: Array, width: float) -> Array:
        """0 well outside, 1 well inside an edge, blurred over ``width`` or a pixel."""
        blur = math.sqrt(width * width + 1.4 * self.pixel * self.pixel)
        t = distance * (1 / blur)
        t += 0.5
        np.maximum(t, 0.0, out=t)
        np.minimum(t, 1.0, out=t)
        return t * t * (3.0 - 2.0 * t)

    def line(self, distance: Array, half: float) -> Array:
        """A line of half-width ``half`` where ``distance`` is 0; thinner than a pixel it grows faint."""
        reach = math.sqrt(half * half + 0.5 * self.pixel * self.pixel)
        t = distance * (1 / (1.6 * reach))
        t *= t
        np.subtract(1.0, t, out=t)
        np.maximum(t, 0.0, out=t)
        return t * t * (half / reach)

    def ellipse(
        self,
        x: float,
        y: float,
        a: float,
        b: float,
        *,
        width: float,
        tilt: tuple[float, float] = (1.0, 0.0),
        window: Window | None = None,
    ) -> Array:
        """1 inside an ellipse of semi-axes ``a`` and ``b``, 0 outside, blurred over ``width``."""
        u, v = (self.x, self.y) if window is None else (self.x[window], self.y[window])
        u, v = u - x, v - y
        if tilt[1]:
            u, v = tilt[0] * u + tilt[1] * v, tilt[0] * v - tilt[1] * u
        u = u * (1 / a)
        v = v * (1 / b)
        return self.step((1.0 - np.sqrt(u * u + v * v)) * min(a, b), width)

    def window(self, box: Box, margin: float = 0.01) -> Window:
        """The pixels of a box of the body, with a margin; never empty."""
        left, top, right, bottom = self._pose.to_film(box)
        margin += self.pixel
        spans = ((top - margin, bottom + margin), (left - margin, right + margin))
        rows, columns = (
            slice(
                first := min(max(int(a * self._side), 0), self._side - 1),
                max(int(b * self._side) + 1, first + 1),
            )
            for a, b in spans
        )
        return rows, columns

    @functools.cached_property
    def texture(self) -> Array:
        """Smooth mottle about 0, mostly within ±1, as uneven lung disease has it."""
        return 1.5 * lattice(self._texture, 24, self._side)


def lattice(rng: Random, points: int, side: int) -> Array:
    """Uniform noise within ±1/2 on a lattice of ``points`` cells each way, interpolated ``[side, side]``."""
    knots = points + 1
    raw = np.frombuffer(rng.randbytes(2 * knots * knots), dtype="<u2").reshape(knots, knots)
    values = raw * (1 / 65535) - 0.5
    index, part = _knots(points, side)
    rows = values[index]
    rows += part[:, None] * (values[index + 1] - rows)
    columns = rows[:, index]
    columns += part * (rows[:, index + 1] - columns)
    return columns


@functools.lru_cache(maxsize=64)
def _knots(points: int, side: int) -> tuple[NDArray[np.intp], Array]:
    place = (np.arange(side, dtype=np.float64) + 0.5) * (points / side)
    index = np.minimum(place.astype(np.intp), points - 1).astype(np.intp)
    return index, place - index


@functools.lru_cache(maxsize=8)
def _grid(side: int) -> tuple[Array, Array]:
    centres = (np.arange(side) + 0.5) / side
    return centres[None, :], centres[:, None]
