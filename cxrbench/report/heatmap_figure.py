"""An image with its annotated boxes, and beside it where each run looks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Rectangle

from cxrbench.report.sheet import BLUE, GREY, INK, VERMILION, Sheet, number, printable, shortened, shown
from cxrbench.workflow.explanations import OfRun, Picture, Seen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cxrbench.interfaces import FloatArray

_SIDE, _GAP, _LEFT, _UNDER, _HEADS = 2.2, 0.15, 0.2, 0.34, 0.3
"""Inches: of a panel, between panels, left of the first, below each, above the first row."""

_ANNOTATED, _DETECTED = "#ffffff", "#56b4e9"
_OPAQUE = 0.55
_CHANNELS = 12
"""Of a layer's maps, how many are shown."""


def heatmap_figure(picture: Picture, runs: Sequence[OfRun], names: Sequence[str]) -> Sheet:
    """A row a finding: the image with its boxes, then each run's map over it, its score and its box.

    Args:
        picture: the image.
        runs: in the order of ``picture.seen``.
        names: what stands above each run's column.
    """
    columns = 1 + len(runs)
    body = _HEADS + len(picture.findings) * (_SIDE + _UNDER)
    sheet = Sheet(
        2 * _LEFT + columns * _SIDE + (columns - 1) * _GAP,
        body,
        title=picture.image_id,
        heading=f"{picture.role}; box: white annotated, dashed round the hottest region",
    )
    for place, name in enumerate(["image", *names]):
        left = _LEFT + place * (_SIDE + _GAP)
        sheet.figure.text(*sheet.place(left, body - 0.12), shortened(printable(name), 34), va="top", size=8)
    for row, finding in enumerate(picture.findings):
        bottom = body - _HEADS - (row + 1) * (_SIDE + _UNDER) + _UNDER
        _panel(sheet, picture, 0, bottom, finding)
        _under(sheet, 0, bottom, _truth(picture, finding), INK)
        for place, (run, seen) in enumerate(zip(runs, picture.seen, strict=True), start=1):
            if (here := seen.get(finding)) is None:
                _under(sheet, place, bottom, "no class of this run", GREY)
                continue
            _over(_panel(sheet, picture, place, bottom, finding), here, run)
            _under(sheet, place, bottom, *_score(picture, run, finding))
    return sheet


def activation_figure(picture: Picture, runs: Sequence[OfRun], names: Sequence[str], layer: str) -> Sheet:
    """A row a run: a layer's mean map, then its channels with the highest mean, each on its own scale."""
    side = 0.95
    body = len(runs) * (side + _UNDER) + 0.1
    columns = 1 + min(_CHANNELS, max(len(maps) for maps in picture.activations))
    sheet = Sheet(
        2 * _LEFT + columns * (side + 0.06),
        body,
        title=picture.image_id,
        heading=f"{layer}: mean of its maps, then the strongest of them",
    )
    for row, (maps, name) in enumerate(zip(picture.activations, names, strict=True)):
        bottom = body - (row + 1) * (side + _UNDER) + _UNDER
        strongest = np.argsort(-maps.mean(axis=(1, 2)), kind="stable")[: columns - 1]
        for place, drawn in enumerate([maps.mean(axis=0), *maps[strongest]]):
            axes = sheet.panel(_LEFT + place * (side + 0.06), bottom, side, side)
            axes.imshow(drawn, cmap="magma", aspect="auto", interpolation="nearest")
            axes.set_axis_off()
        height, width = maps.shape[1:]
        text = f"{name}: {len(maps)} maps of {height} × {width}, channels {', '.join(map(str, strongest))}"
        sheet.figure.text(
            *sheet.place(_LEFT, bottom - 0.05), shortened(printable(text), 150), va="top", size=8
        )
    return sheet


def _panel(sheet: Sheet, picture: Picture, place: int, bottom: float, finding: str) -> Axes:
    """The whole image, in shares of its sides, with the finding's annotated boxes."""
    axes = sheet.panel(_LEFT + place * (_SIDE + _GAP), bottom, _SIDE, _SIDE)
    axes.imshow(picture.pixels, cmap="gray", vmin=0, vmax=255, extent=(0, 1, 1, 0), aspect="auto")
    for box in picture.boxes.get(finding, ()):
        _rectangle(axes, box, _ANNOTATED, "solid")
    axes.set(xlim=(0, 1), ylim=(1, 0))
    axes.set_axis_off()
    return axes


def _over(axes: Axes, seen: Seen, run: OfRun) -> None:
    """A map over what the run sees of the image, and the box round its hottest region."""
    start, end = run.window.start, run.window.start + run.window.share
    axes.imshow(
        seen.heat,
        cmap="inferno",
        vmin=0,
        vmax=1,
        extent=(start, end, end, start),
        aspect="auto",
        alpha=_OPAQUE * np.clip(seen.heat * 2, 0, 1),
        interpolation="bilinear",
    )
    if seen.box is not None:
        _rectangle(axes, seen.box, _DETECTED, "dashed")
    if seen.heat.max() <= 0:
        axes.text(0.5, 0.5, "0 everywhere", color="white", ha="center", va="center", size=8)


def _rectangle(axes: Axes, box: FloatArray, color: str, line: str) -> None:
    left, top, right, bottom = box
    axes.add_patch(
        Rectangle(
            (left, top),
            right - left,
            bottom - top,
            fill=False,
            edgecolor=color,
            linewidth=1.2,
            linestyle=line,
        )
    )


def _truth(picture: Picture, finding: str) -> str:
    label = picture.labels.get(finding, math.nan)
    told = "label unknown" if math.isnan(label) else "present" if label == 1 else "absent"
    return f"{shown(finding)}: {told}"


def _score(picture: Picture, run: OfRun, finding: str) -> tuple[str, str]:
    """A run's score beside its threshold, coloured by its decision: false alarms vermilion, misses blue."""
    probability = float(run.scores.probabilities[finding][picture.image_id])
    threshold = float(run.scores.thresholds[finding])
    called = float(run.scores.called[finding][picture.image_id])
    label = picture.labels.get(finding, math.nan)
    color = VERMILION if (called, label) == (1, 0) else BLUE if (called, label) == (0, 1) else INK
    if not math.isfinite(threshold):
        return number(probability, 3), color
    sign = "≥" if probability >= threshold else "<"
    return f"{number(probability, 3)} {sign} {number(threshold, 3)}", color


def _under(sheet: Sheet, place: int, bottom: float, text: str, color: str) -> None:
    left = _LEFT + place * (_SIDE + _GAP)
    sheet.figure.text(*sheet.place(left, bottom - 0.05), text, va="top", size=8, color=color)
