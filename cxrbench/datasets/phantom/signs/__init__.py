"""The fourteen findings as they look on a film.

Each is a small record that says where it is (:meth:`Sign.boxes`) and draws itself (:meth:`Sign.draw`).
Findings of the whole chest (a large heart, overinflated or shrunken lungs) change the thorax first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Protocol

from cxrbench.datasets.phantom.anatomy import Box, Thorax
from cxrbench.datasets.phantom.signs.chest import LargeHeart, Overinflation, enlarge_heart, overinflate
from cxrbench.datasets.phantom.signs.lung import (
    Atelectasis,
    Cloud,
    Edema,
    Fibrosis,
    LobarConsolidation,
    Patches,
    draw_up,
    shrink,
)
from cxrbench.datasets.phantom.signs.pleura import Effusion, PleuralThickening, Pneumothorax
from cxrbench.datasets.phantom.signs.rounds import Hernia, Rounds
from cxrbench.datasets.phantom.streams import stream

if TYPE_CHECKING:
    from cxrbench.datasets.phantom.canvas import Canvas
    from cxrbench.datasets.phantom.patients import Study


class Sign(Protocol):
    """A finding at its place."""

    def boxes(self) -> Iterable[Box]:
        """Where to look, in body coordinates."""

    def draw(self, canvas: Canvas) -> None:
        """Put it on the film."""


def chest_with_signs(seed: int, study: Study, healthy: Thorax) -> tuple[Thorax, dict[str, Sign]]:
    """The thorax as a study's findings leave it, and the signs of each finding."""
    streams = {finding: stream(seed, finding, study.image_id) for finding in study.findings}
    thorax = healthy
    for finding, rng in streams.items():
        if finding in _RESHAPE:
            thorax = _RESHAPE[finding](rng, thorax)
    return thorax, {finding: _PLACE[finding](rng, thorax) for finding, rng in streams.items()}


_RESHAPE: dict[str, Callable[[Random, Thorax], Thorax]] = {
    "Cardiomegaly": enlarge_heart,
    "Emphysema": overinflate,
    "Fibrosis": shrink,
    "Atelectasis": draw_up,
}

_PLACE: dict[str, Callable[[Random, Thorax], Sign]] = {
    "Atelectasis": Atelectasis.place,
    "Cardiomegaly": LargeHeart.place,
    "Effusion": Effusion.place,
    "Infiltration": Patches.place,
    "Mass": Rounds.mass,
    "Nodule": Rounds.nodules,
    "Pneumonia": Cloud.place,
    "Pneumothorax": Pneumothorax.place,
    "Consolidation": LobarConsolidation.place,
    "Edema": Edema.place,
    "Emphysema": Overinflation.place,
    "Fibrosis": Fibrosis.place,
    "Pleural_Thickening": PleuralThickening.place,
    "Hernia": Hernia.place,
}
