"""The chest of a patient, and how it lies on the film of one image.

Body coordinates are those of a well-centred film: x to the viewer's right, y down, both 0..1. A
``side`` is -1 for the patient's right (the viewer's left) and +1 for the patient's left. ``d`` is
the distance from the midline.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.datasets.phantom.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.datasets.phantom.patients import Study

    Number = float | NDArray[np.float64]

MIDLINE = 0.5
SHOULDER = 0.56
"""Height from which the chest wall runs straight down; above it the lung narrows to its apex."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def around(x: float, y: float, a: float, b: float) -> Box:
    """The box of an ellipse with centre ``x``, ``y`` and semi-axes ``a``, ``b``."""
    return x - a, y - b, x + a, y + b


def beside(side: int, inner: float, top: float, outer: float, bottom: float) -> Box:
    """A box on one side, by distances from the midline."""
    a, b = MIDLINE + side * inner, MIDLINE + side * outer
    return min(a, b), top, max(a, b), bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """The shape of lungs, heart and diaphragm in one image, in body coordinates.

    Attributes:
        top: height of the lung apices.
        width: from the midline to the chest wall.
        medial: from the midline to the lung's inner border.
        domes: height of the right and the left dome of the diaphragm.
        crest: from the midline to the top of a dome.
        drop: how far the diaphragm falls from its dome to the costophrenic angle.
        hilum: height of the hila.
        heart: centre x, y and semi-axes of the heart, which lies tilted.
        air: how dark the lungs are.
        vessels: how strong their markings are.
    """

    top: float
    width: float
    medial: float
    domes: tuple[float, float]
    crest: float
    drop: float
    hilum: float
    heart: Box
    air: float
    vessels: float

    def chest_wall(self, y: Number) -> Number:
        """Distance of the chest wall from the midline at height ``y``; 0 above the apex."""
        rise = np.minimum(np.maximum((SHOULDER - y) * (1 / (SHOULDER - self.top)), 0.0), 1.0)
        return self.width * np.sqrt(1.0 - rise * rise)

    def diaphragm(self, d: Number, dome: Number) -> Number:
        """Height of the diaphragm at distance ``d`` from the midline."""
        outer = np.maximum(d - self.crest, 0.0) * (1 / (self.width - self.crest))
        inner = np.maximum(self.crest - d, 0.0) * (1 / self.crest)
        return dome + self.drop * outer * outer + 0.03 * inner * inner

    def dome(self, side: int) -> float:
        """Height of the dome on a side."""
        return self.domes[side > 0]

    def angle(self, side: int) -> float:
        """Height of the costophrenic angle on a side."""
        return self.dome(side) + self.drop

    def heart_reach(self, side: int) -> float:
        """How far the heart reaches from the midline to a side."""
        x, _, a, b = self.heart
        half = float(np.sqrt((a * TILT[0]) ** 2 + (b * TILT[1]) ** 2))
        return half + side * (x - MIDLINE)

    def heart_box(self) -> Box:
        """The heart from edge to edge."""
        _, y, a, b = self.heart
        half = float(np.sqrt((a * TILT[1]) ** 2 + (b * TILT[0]) ** 2))
        return MIDLINE - self.heart_reach(-1), y - half, MIDLINE + self.heart_reach(1), y + half

    def lung_box(self, side: int) -> Box:
        """A lung from apex to costophrenic angle and from mediastinum to chest wall."""
        return beside(side, self.medial, self.top, self.width, self.angle(side))

    def spot(
        self, rng: Random, side: int, radius: float, top: float = 0.0, bottom: float = 1.0
    ) -> tuple[float, float]:
        """A place in a lung, clear of its borders and of the heart, for something round.

        ``top`` and ``bottom`` narrow it to a zone of the lung, 0 the apex and 1 the dome.
        """
        first, last = self.top + 0.09 + 0.5 * radius, self.dome(side) - radius - 0.01
        y = rng.uniform(first + top * (last - first), first + bottom * (last - first))
        inner = self.medial + radius + 0.02
        if y + radius > self.heart_box()[1] + 0.03:
            inner = max(inner, self.heart_reach(side) + radius)
        outer = float(self.chest_wall(y - 0.5 * radius)) - radius - 0.012
        return MIDLINE + side * max(rng.uniform(min(inner, outer), outer), self.medial), y


TILT = (12 / 13, 5 / 13)
"""Cosine and sine of the heart's tilt: exact, so that its box is the same on every machine."""


def thorax_of(seed: int, study: Study) -> Thorax:
    """The healthy chest of a study's patient, as deeply breathed in as in this image."""
    own, here = stream(seed, "thorax", study.patient_id), stream(seed, "breath", study.image_id)
    supine = study.view == "AP"
    small = 0.012 * (study.sex == "F")
    width = own.uniform(0.35, 0.38) - small
    dome = own.uniform(0.695, 0.735) - small - supine * here.uniform(0.01, 0.04) + here.uniform(-0.008, 0.008)
    magnified = here.uniform(1.06, 1.14) if supine else 1.0
    a = magnified * own.uniform(0.118, 0.145) * width / 0.35
    b = magnified * own.uniform(0.105, 0.12)
    return Thorax(
        top=own.uniform(0.115, 0.145),
        width=width,
        medial=own.uniform(0.046, 0.058) * (1.12 if supine else 1.0),
        domes=(dome - 0.012, dome + own.uniform(0.004, 0.02)),
        crest=own.uniform(0.13, 0.16),
        drop=own.uniform(0.085, 0.115),
        hilum=own.uniform(0.39, 0.43),
        heart=(MIDLINE + own.uniform(0.034, 0.05), dome - 0.62 * b, a, b),
        air=own.uniform(0.34, 0.4) - 0.03 * supine,
        vessels=own.uniform(0.8, 1.2),
    )


@dataclass(frozen=True, slots=True)
class Pose:
    """How the body lies on the film: a shift, a small turn and a magnification.

    Attributes:
        shift: of the midpoint, in x and y.
        turn: cosine and sine of the turn.
        zoom: magnification.
    """

    shift: tuple[float, float]
    turn: tuple[float, float]
    zoom: float

    def to_body(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Body coordinates of film coordinates (broadcast against each other)."""
        cos, sin = (t / self.zoom for t in self.turn)
        u, v = x - (0.5 + self.shift[0]), y - (0.5 + self.shift[1])
        return cos * u + (sin * v + 0.5), cos * v + (0.5 - sin * u)

    def to_film(self, box: Box) -> Box:
        """The upright box on the film round a box of the body."""
        cos, sin = (t * self.zoom for t in self.turn)
        left, top, right, bottom = (edge - 0.5 for edge in box)
        xs = [cos * u - sin * v for u in (left, right) for v in (top, bottom)]
        ys = [sin * u + cos * v for u in (left, right) for v in (top, bottom)]
        x, y = 0.5 + self.shift[0], 0.5 + self.shift[1]
        return x + min(xs), y + min(ys), x + max(xs), y + max(ys)


def pose_of(seed: int, study: Study) -> Pose:
    """How a study's patient was placed: worse in bed than standing."""
    rng = stream(seed, "pose", study.image_id)
    care = 1.6 if study.view == "AP" else 1.0
    half = care * rng.uniform(-0.012, 0.012)
    scale = 1 / (1 + half * half)
    return Pose(
        shift=(care * rng.uniform(-0.01, 0.01), care * rng.uniform(-0.01, 0.01)),
        turn=((1 - half * half) * scale, 2 * half * scale),
        zoom=rng.uniform(0.97, 1.03),
    )
