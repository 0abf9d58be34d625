"""Lines of charts as SVG path data: whole numbers in a square of 500, each relative to the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SIDE = 500
"""Of the square that a chart is drawn in; what shows it scales it down."""

Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from ``low`` to ``high`` as 0 to :data:`SIDE`."""

    low: float
    high: float

    def place(self, value: float) -> int:
        """Where a value is drawn; what lies outside is drawn at the edge."""
        share = (value - self.low) / (self.high - self.low)
        return round(SIDE * min(max(share, 0.0), 1.0))


UNIT = Scale(0.0, 1.0)


def line(x: Values, y: Values, across: Scale = UNIT, up: Scale = UNIT) -> str:
    """The path through the points; broken where one is undefined."""
    parts: list[str] = []
    last: tuple[int, int] | None = None
    for value_x, value_y in zip(x, y, strict=True):
        if undefined(value_x) or undefined(value_y):
            last = None
            continue
        point = across.place(float(value_x or 0)), up.place(float(value_y or 0))
        if last is None:
            parts.append(f"M{point[0]} {point[1]}")
        elif point != last:
            # The letter holds for all that follows, and must be followed by something.
            first = "l" if parts[-1].startswith("M") else ""
            parts.append(first + _pair(point[0] - last[0], point[1] - last[1]))
        last = point
    return _spaced(parts)


def dots(x: Values, y: Values, across: Scale, up: Scale) -> list[tuple[int, int]]:
    """Where points are drawn; those that are undefined are left out."""
    return [
        (across.place(float(a or 0)), up.place(float(b or 0)))
        for a, b in zip(x, y, strict=True)
        if not (undefined(a) or undefined(b))
    ]


def undefined(value: float | None) -> bool:
    """Whether there is nothing to be drawn."""
    return value is None or math.isnan(value)


def scale_of(values: Sequence[float | None], *, least: float = 0.0) -> Scale:
    """From the smallest to the largest of the values, moved out to round numbers.

    Args:
        values: some of which may be undefined.
        least: how wide the scale is at least.
    """
    found = [float(value or 0) for value in values if not undefined(value)]
    if not found:
        return UNIT
    low, high = min(found), max(found)
    width = max(high - low, least, 1e-9)
    step = 10.0 ** math.floor(math.log10(width))
    step = next(step * part for part in (0.1, 0.2, 0.5, 1.0, 2.0) if width / (step * part) <= 12)
    return Scale(math.floor(low / step + 1e-9) * step, math.ceil(max(high, low + width) / step - 1e-9) * step)


def about_zero(values: Sequence[float | None], *, least: float = 0.01) -> Scale:
    """As far below 0 as above, to round numbers."""
    scale = scale_of([*values, 0.0], least=least)
    reach = max(abs(scale.low), abs(scale.high))
    return Scale(-reach, reach)


def up_to(values: Sequence[float | None], least: float = 0.01) -> Scale:
    """From 0 to the largest value, moved out to a round number of at most 1."""
    highest = max((float(value or 0) for value in values if not undefined(value)), default=1.0)
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    return Scale(0.0, next((step for step in steps if step >= max(highest, least) - 1e-9), 1.0))


def tick(value: float) -> str:
    """A number at an axis, as short as it can be: ``.85``, ``1``, ``−.02``."""
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    text = "0" if text in ("-0", "") else text
    return text.replace("-0.", "-.").removeprefix("0" if text.startswith("0.") else "").replace("-", "−")


def _pair(x: int, y: int) -> str:
    return f"{x}{y}" if y < 0 else f"{x} {y}"


def _spaced(parts: Sequence[str]) -> str:
    """Parts one after another, a blank only where a number would run into the last."""
    text = ""
    for part in parts:
        needs = text and text[-1].isdigit() and part[0].isdigit()
        text += f" {part}" if needs else part
    return text
