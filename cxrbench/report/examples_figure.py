"""Images beside what was decided about them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cxrbench.findings import NO_FINDING
from cxrbench.report.sheet import BLUE, GREY, INK, VERMILION, Sheet, number, printable, shortened, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 8
"""More examples than this are not drawn."""

_COLUMNS = 4
_SIDE, _GAP, _LINE = 2.75, 0.25, 0.165
_CHARACTERS = 42
"""That fit below an image, at 8 points."""
_MOST_LINES = 9

_HEADING = "Examples from test: what is there, what was called rightly or falsely, what was missed"

_Line = tuple[str, str, str]
"""Text, colour, weight."""


@dataclass(frozen=True)
class Example:
    """An image of test and what was decided about it.

    Attributes:
        image_id: as in the manifest.
        pixels: uint8 ``[h, w]``.
        truth: the findings present; empty for No Finding.
        called: finding, probability and threshold of each finding called positive, most probable first.
        missed: the same of each finding that is present but was not called.
    """

    image_id: str
    pixels: NDArray[np.uint8]
    truth: tuple[str, ...]
    called: tuple[tuple[str, float, float], ...]
    missed: tuple[tuple[str, float, float], ...]


def examples_figure(examples: Sequence[Example], title: str) -> Sheet:
    """Up to eight images, and below each its findings, right and false calls, and what was missed."""
    examples = examples[:MOST]
    columns = min(_COLUMNS, len(examples))
    lines = [_lines(example) for example in examples]
    rows = [range(start, min(start + columns, len(examples))) for start in range(0, len(examples), columns)]
    heights = [_SIDE + 0.15 + _LINE * max(len(lines[index]) for index in row) + 0.2 for row in rows]
    sheet = Sheet(0.4 + columns * _SIDE + (columns - 1) * _GAP, sum(heights), title=title, heading=_HEADING)
    top = sheet.body
    for row, height in zip(rows, heights, strict=True):
        for place, index in enumerate(row):
            left = 0.2 + place * (_SIDE + _GAP)
            sheet.image(examples[index].pixels, left, top - _SIDE, _SIDE)
            for number_of_line, (text, color, weight) in enumerate(lines[index]):
                below = top - _SIDE - 0.08 - number_of_line * _LINE
                sheet.figure.text(
                    *sheet.place(left, below), text, va="top", size=8, color=color, weight=weight
                )
        top -= height
    return sheet


def _lines(example: Example) -> list[_Line]:
    """What stands below an image."""
    truth = textwrap.wrap(
        f"truth: {', '.join(shown(finding) for finding in example.truth) or NO_FINDING}",
        _CHARACTERS,
        subsequent_indent="  ",
    )
    lines = [(shortened(printable(example.image_id), _CHARACTERS - 4), GREY, "normal")]
    lines += [(text, INK, "bold") for text in truth]
    for finding, probability, threshold in example.called:
        right = finding in example.truth
        text = f"{'called' if right else 'false'}: {_compared(finding, probability, threshold)}"
        lines.append((text, INK if right else VERMILION, "normal"))
    if not example.called:
        lines.append(("nothing called", INK, "normal"))
    lines += [(f"missed: {_compared(*missed)}", BLUE, "normal") for missed in example.missed]
    if len(lines) > _MOST_LINES:
        hidden = len(lines) - _MOST_LINES + 1
        lines = [*lines[: _MOST_LINES - 1], (f"… and {hidden} more", GREY, "normal")]
    return lines


def _compared(finding: str, probability: float, threshold: float) -> str:
    """``Mass 0.61 ≥ 0.40``; without the threshold where there is none, as in single-label tasks."""
    sign = "≥" if probability >= threshold else "<"
    compared = f" {sign} {number(threshold, 3)}" if math.isfinite(threshold) else ""
    return f"{shown(finding)} {number(probability, 3)}{compared}"
