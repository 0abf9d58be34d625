"""Images before and after preprocessing, resizer and augmentation, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.preview import EPOCHS, Preview
from cxrbench.report.sheet import GREY, INK, Sheet, house_style, printable, shortened, shown

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_SIDE, _GAP, _HEAD, _FOOT, _LINE = 1.7, 0.12, 0.24, 0.48, 0.165
"""Of a picture, between two, above the first row, below each row, of a line of text, in inches."""

_CHARACTERS = 110
"""That fit below a row, at 8 points."""


def draw_preview(path: Path, previews: Sequence[Preview], *, title: str, heading: str) -> None:
    """Write a PNG: a row an image, from what the data set gives to what training sees of it.

    Args:
        path: of the file.
        previews: the images; preprocessing has a column where it changes one of them.
        title: stands above them.
        heading: what is shown.
    """
    with house_style():
        _preview_figure(previews, title, heading).save(path)


def _preview_figure(previews: Sequence[Preview], title: str, heading: str) -> Sheet:
    changed = any((each.preprocessed != each.original).any() for each in previews)
    resized = any(each.resized is not None for each in previews)
    names = ["as it is", *(["preprocessed"] if changed else []), "in evaluation"]
    names += ["behind the resizer"] if resized else []
    names += [f"in training, epoch {epoch}" for epoch in EPOCHS]
    width = 0.4 + len(names) * (_SIDE + _GAP) - _GAP
    row_height = _SIDE + _FOOT
    sheet = Sheet(width, _HEAD + len(previews) * row_height, title=title, heading=heading)
    for column, name in enumerate(names):
        place = sheet.place(_left(column), sheet.body - _HEAD + 0.06)
        sheet.figure.text(*place, name, va="bottom", size=8, color=INK)
    for row, preview in enumerate(previews):
        bottom = sheet.body - _HEAD - row * row_height - _SIDE
        for column, (picture, white) in enumerate(_pictures(preview, changed)):
            _show(sheet.panel(_left(column), bottom, _SIDE, _SIDE), picture, white)
        height, breadth = preview.original.shape
        name = shortened(printable(preview.image_id), _CHARACTERS // 2)
        findings = ", ".join(shown(finding) for finding in preview.findings) or "labels unknown"
        lines = (
            (shortened(findings, _CHARACTERS), INK, "bold"),
            (f"{name}, {breadth} × {height} px", GREY, "normal"),
        )
        for line, (text, color, weight) in enumerate(lines):
            place = sheet.place(_left(0), bottom - 0.06 - line * _LINE)
            sheet.figure.text(*place, text, va="top", size=8, color=color, weight=weight)
    return sheet


def _left(column: int) -> float:
    return 0.2 + column * (_SIDE + _GAP)


def _pictures(preview: Preview, changed: bool) -> list[tuple[NDArray[np.generic], float]]:
    """Each picture of a row and what is white in it."""
    pictures: list[tuple[NDArray[np.generic], float]] = [(preview.original, 255.0)]
    if changed:
        pictures.append((preview.preprocessed, 255.0))
    resized = () if preview.resized is None else (preview.resized.squeeze(),)
    pictures += [(view, 1.0) for view in (preview.evaluation, *resized, *preview.training)]
    return pictures


def _show(panel: Axes, picture: NDArray[np.generic], white: float) -> None:
    panel.imshow(picture, cmap="gray", vmin=0, vmax=white)
    panel.set_axis_off()
