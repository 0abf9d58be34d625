"""From a study to a film: anatomy, signs, exposure and noise, at any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.anatomy import MIDLINE, pose_of, thorax_of
from cxrbench.datasets.phantom.canvas import Canvas, lattice
from cxrbench.datasets.phantom.signs import chest_with_signs
from cxrbench.datasets.phantom.streams import stream

if TYPE_CHECKING:
    from random import Random

    from numpy.typing import NDArray

    from cxrbench.datasets.phantom.patients import Study

    Array = NDArray[np.float64]


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
    grain = 2.6 * lattice(rng, 32, side)
    for points in (64, 128, 256, 512):
        if points <= side:
            grain += 2.2 * lattice(rng, points, side)
    return grain
