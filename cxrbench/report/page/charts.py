"""What ``charts.html.j2`` draws: intervals on a scale, and small square charts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cxrbench.report.page.paths import Scale


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure with its interval on a scale of 0 to 500; what is undefined is None."""

    at: int | None
    low: int | None
    high: int | None
    marks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A small square chart.

    Attributes:
        kind: what it shows, which says how it looks.
        label: what it shows of what, for whoever does not see it.
        lines: path data by the name of its look.
        dots: points, with an index of their size 0 to 3.
        bands: vertical intervals at a place: x, low, high.
        ends: what stands at the ends of the axes: x low, x high, y low, y high; None where that is 0 and 1
            whatever is drawn.
        rule: where a horizontal line of reference is; None for none.
        at: where a vertical line is, such as the threshold; None for none.
    """

    kind: str
    label: str
    lines: dict[str, str]
    ends: tuple[str, str, str, str] | None = None
    dots: tuple[tuple[int, int, int], ...] = ()
    bands: tuple[tuple[int, int, int], ...] = ()
    rule: int | None = None
    at: int | None = None


def bar(value: float, low: float, high: float, scale: Scale, marks: Sequence[float] = ()) -> Bar:
    """A figure and its interval as they are drawn."""
    places = [None if math.isnan(each) else scale.place(each) for each in (value, low, high)]
    ticks = tuple(scale.place(mark) for mark in marks if not math.isnan(mark))
    return Bar(places[0], places[1], places[2], ticks)
