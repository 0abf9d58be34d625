"""From a study to a film: anatomy, signs, exposure and noise, at any size.

Everything is a continuous function of position, evaluated at pixel centres with edges no sharper than
a pixel, so that the same picture appears at every resolution. The arithmetic is NumPy's elementwise
float64, which differs between machines in the last bit at most.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.anatomy import MIDLINE, TILT, Box, Pose, Thorax, pose_of, thorax_of
from cxrbench.datasets.phantom.signs import chest_with_signs
from cxrbench.datasets.phantom.streams import stream

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    from cxrbench.datasets.phantom.patients import Study

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
        return 1.5 * _lattice(self._texture, 24, self._side)


def film(seed: int, study: Study, side: int) -> NDArray[np.uint8]:
    """Draw a study as greyscale ``[side, side]``; dense tissue is bright."""
    thorax, signs = chest_with_signs(seed, study, thorax_of(seed, study))
    canvas = Canvas(thorax, pose_of(seed, study), side, stream(seed, "texture", study.image_id))
    for sign in signs.values():
        sign.draw(canvas)
    _soft_tissue(canvas, seed, study)
    _vessels(canvas, seed, study)
    _bones(canvas, seed, study)
    return _expose(canvas, seed, study, side)


def _soft_tissue(canvas: Canvas, seed: int, study: Study) -> None:
    """Mediastinum, trachea, abdomen, stomach bubble, breasts, and the air round the body."""
    own, thorax = stream(seed, "tissue", study.patient_id), canvas.thorax
    x, y, d, density = canvas.x, canvas.y, canvas.d, canvas.density
    density += 0.1 * canvas.step(thorax.medial - d, 0.03)
    knob = own.uniform(0.026, 0.034) + 0.012 * (study.age >= 60)
    density += _round(canvas, MIDLINE + thorax.medial, thorax.hilum - 0.1, knob, knob, 0.08, width=0.012)
    trachea = own.uniform(-0.006, 0.006) + MIDLINE
    window = canvas.window((trachea - 0.02, 0.0, trachea + 0.02, 0.37))
    density[window] -= 0.09 * (
        canvas.step(0.014 - np.abs(x[window] - trachea), 0.012) * canvas.step(0.36 - y[window], 0.03)
    )
    density += 0.14 * canvas.step(y - canvas.floor, 0.012) * canvas.step(thorax.width + 0.01 - d, 0.03)
    if own.random() < 0.7:
        stomach = thorax.dome(1) + own.uniform(0.055, 0.07)
        density -= _round(canvas, MIDLINE + own.uniform(0.12, 0.18), stomach, 0.05, 0.022, 0.16, width=0.012)
    if study.sex == "F":
        size, low = own.uniform(0.11, 0.15), own.uniform(0.56, 0.62)
        for side in (-1, 1):
            density += _round(
                canvas, MIDLINE + side * 0.2, low, size, size, own.uniform(0.04, 0.07), width=0.05
            )
    shoulder = np.maximum(d - 0.11, 0.0)
    armpit = np.maximum(0.5 - y, 0.0)
    skin = np.minimum(y - 0.01 - 0.95 * shoulder * shoulder, thorax.width + 0.085 + 1.6 * armpit * armpit - d)
    density *= canvas.step(skin, 0.02)


def _round(canvas: Canvas, x: float, y: float, a: float, b: float, amount: float, *, width: float) -> Array:
    """``amount`` inside an ellipse, as an image of the whole film."""
    window = canvas.window((x - a, y - b, x + a, y + b), margin=width)
    image = np.zeros_like(canvas.x)
    image[window] = amount * canvas.ellipse(x, y, a, b, width=width, window=window)
    return image


def _vessels(canvas: Canvas, seed: int, study: Study) -> None:
    """Hila, and vessels that fan out from them, seen only against air."""
    thorax, own = canvas.thorax, stream(seed, "vessels", study.patient_id)
    rise = canvas.y - thorax.hilum
    run = np.maximum(canvas.d - 0.035, 0.012)
    steep = rise / run
    fan = steep / (1.0 + np.abs(steep))
    reach = run * run + rise * rise
    number = 44
    strengths = np.array([own.random() for _ in range(2 * number + 4)])
    strengths *= strengths
    wave = 0.35 * canvas.texture
    place = (
        (fan + 1.0) * (number / 2)
        + np.where(canvas.x < MIDLINE, 0.0, number + 1.0)
        + wave * np.sqrt(reach) * 6
    )
    np.clip(place, 0.0, 2 * number + 2.0, out=place)
    index = place.astype(np.intp)
    part = place - index
    vessels = strengths[index]
    vessels += part * (strengths[index + 1] - vessels)
    vessels *= 0.0042 / (0.012 + reach)
    centre = canvas.d - thorax.medial - 0.025
    hilum = np.maximum(1.0 - (centre * centre * 400 + rise * rise * 180), 0.0)
    vessels += 0.42 * hilum * hilum
    vessels *= canvas.vessels
    np.minimum(vessels, 0.6, out=vessels)
    canvas.air *= 1.0 - vessels


def _bones(canvas: Canvas, seed: int, study: Study) -> None:
    """Ribs, clavicles, spine, and the shoulder blades of an AP film."""
    own = stream(seed, "bones", study.patient_id)
    d, y, density = canvas.d, canvas.y, canvas.density
    strength = own.uniform(0.85, 1.15) * (1.2 if study.age < 40 else 1.0 if study.age < 65 else 0.8)
    gap, first = own.uniform(0.064, 0.074), own.uniform(0.0, 1.0)
    cage = canvas.step(np.minimum(canvas.edge + 0.012, 0.86 - y), 0.02)
    bow = d - 0.07
    density += 0.055 * strength * cage * _bands(canvas, y - 1.5 * bow * bow, gap, first, 0.36)
    front = cage * np.minimum(np.maximum(6.0 * d - 0.7, 0.0), 1.0)
    density += (
        0.032 * strength * front * _bands(canvas, y + (0.62 * d - 0.45 * d * d), gap * 1.2, first + 0.4, 0.4)
    )
    collar = canvas.line(y - (own.uniform(0.215, 0.24) - 0.36 * d + 0.5 * d * d), 0.012)
    density += 0.1 * strength * collar * canvas.step(np.minimum(0.34 - d, d - 0.025), 0.02)
    column = canvas.step(0.036 - d, 0.012)
    density += column * (0.05 + 0.035 * _bands(canvas, y, 0.052, first, 0.62)) * strength
    if study.view == "AP":
        blade = d - (own.uniform(0.235, 0.265) + 0.16 * (y - 0.2))
        outer = 0.43 - 0.28 * (y - 0.2) - d
        density += 0.06 * canvas.step(np.minimum(np.minimum(blade, outer), y - 0.16), 0.012)


def _bands(canvas: Canvas, height: Array, gap: float, first: float, share: float) -> Array:
    """Bands one ``gap`` apart along ``height``, each ``share`` of it wide."""
    phase = height * (1 / gap) + first
    phase -= np.floor(phase)
    phase -= 0.5
    return canvas.step((0.5 * share - np.abs(phase)) * gap, 0.01)


def _expose(canvas: Canvas, seed: int, study: Study, side: int) -> NDArray[np.uint8]:
    """Tube, detector and film: uneven exposure, contrast, noise, side marker."""
    rng = stream(seed, "exposure", study.image_id)
    care = 1.5 if study.view == "AP" else 1.0
    brightness, contrast = care * rng.uniform(-0.045, 0.045), 1.0 + care * rng.uniform(-0.1, 0.1)
    across, along = care * rng.uniform(-0.05, 0.05), care * rng.uniform(-0.06, 0.06)
    noise = care * rng.uniform(0.012, 0.022)
    mark = canvas.window((0.885, 0.1, 0.915, 0.15), margin=0.0)
    u, v = canvas.x[mark] - 0.885, canvas.y[mark] - 0.1
    light = canvas.density - canvas.air
    letter = np.maximum(canvas.line(u - 0.005, 0.004), canvas.line(v - 0.045, 0.004))
    light[mark] = np.maximum(light[mark], 0.95 * letter)
    light = contrast * light + (0.5 + brightness - 0.5 * contrast)
    light += across * (canvas.x - 0.5)
    light += along * (canvas.y - 0.5)
    light += (noise * _grain(rng, side)) * (0.5 + light)
    np.clip(light, 0.0, 1.0, out=light)
    light *= 262.0 + 45.0 * (1.0 - light)
    light -= 14.0
    np.clip(light, 0.0, 255.0, out=light)
    return np.rint(light).astype(np.uint8)


def _grain(rng: Random, side: int) -> Array:
    """Noise of standard deviation about 1 at 64 pixels, finer where there are pixels to show it."""
    grain = 2.6 * _lattice(rng, 32, side)
    for points in (64, 128, 256, 512):
        if points <= side:
            grain += 2.2 * _lattice(rng, points, side)
    return grain


def _lattice(rng: Random, points: int, side: int) -> Array:
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
