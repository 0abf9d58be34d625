"""The sheet that every figure is drawn on: title above, panels, "Not for clinical use" below."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 150
"""Dots an inch of every figure; all lengths below are inches."""

BLUE, ORANGE, GREEN, VERMILION = sns.color_palette("colorblind").as_hex()[:4]
GREY, INK, RULE = "#767676", "#222222", "#e6e6e6"

_LINE = 0.17
_FOOT = 0.3
_CHARACTER = 0.092
"""Width of one character of the title, a little generous."""
_LEGEND_COLUMNS = 4
_LEAST_WIDTH = 6.5
"""That a legend and the line at the foot fit beside each other in."""

_STYLE: dict[str, Any] = {
    **sns.axes_style("ticks"),
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.linewidth": 0.8,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "text.color": INK,
    # Names and ids are shown as they are; a "$" in one starts no formula.
    "text.parse_math": False,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in one style whatever the user's own Matplotlib settings are, and put those back afterwards."""
    with style.context(_STYLE, after_reset=True):
        yield


class Sheet:
    """One figure. Panels are placed by inches, so that no layout has to be solved for.

    Attributes:
        figure: the figure, of the object API: pyplot does not know it.
        width: inches; at least what the foot needs, whatever was asked for.
        body: inches between the title and the foot.
    """

    def __init__(self, width: float, body: float, *, title: str, heading: str) -> None:
        width = max(width, _LEAST_WIDTH)
        lines = textwrap.wrap(
            printable(title), int((width - 0.4) / _CHARACTER), max_lines=3, placeholder=" …"
        )
        head = 0.25 + _LINE * (len(lines) + 1) * 1.1
        self.width, self.body = width, body
        self._height = head + body + _FOOT
        self.figure = Figure(figsize=(width, self._height), dpi=DPI, facecolor="white")
        self.figure.text(
            *self.place(0.2, self.body + head - 0.12), "\n".join(lines), va="top", weight="bold", size=10
        )
        self.figure.text(*self.place(0.2, self.body + 0.14), heading, va="bottom", color=GREY)
        self.figure.text(
            *self.place(width - 0.2, -_FOOT + 0.1), "Not for clinical use", ha="right", size=8, color=GREY
        )

    def panel(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """A panel, by inches from the body's lower left corner."""
        x, y = self.place(left, bottom)
        return self.figure.add_axes((x, y, width / self.width, height / self._height))

    def legend(self, handles: Sequence[Artist]) -> None:
        """A legend at the foot, on the left; it reaches :func:`legend_height` into the body."""
        self.figure.legend(
            handles=list(handles),
            loc="lower left",
            bbox_to_anchor=self.place(0.2, -_FOOT + 0.08),
            ncols=_LEGEND_COLUMNS,
            borderpad=0,
            borderaxespad=0,
            handletextpad=0.4,
        )

    def save(self, path: Path) -> None:
        """Write the sheet as PNG."""
        with warnings.catch_warnings():
            # A character that the font lacks is drawn as a box, which says enough.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.figure.savefig(path, format="png", dpi=DPI)

    def place(self, left: float, bottom: float) -> tuple[float, float]:
        """Inches from the body's lower left corner, as shares of the figure."""
        return left / self.width, (bottom + _FOOT) / self._height


def grid(
    count: int,
    *,
    size: float,
    gap: tuple[float, float],
    margin: tuple[float, float],
    title: str,
    heading: str,
) -> tuple[Sheet, list[Axes]]:
    """A sheet with ``count`` square panels, five a row, tick labels only at the outside.

    Args:
        count: number of panels.
        size: side of a panel.
        gap: between columns, between rows.
        margin: left of the first column, below the last row.
        title: of the sheet.
        heading: what the sheet shows.
    """
    columns = min(5, count)
    rows = math.ceil(count / columns)
    width = margin[0] + columns * size + (columns - 1) * gap[0] + 0.25
    body = margin[1] + rows * size + (rows - 1) * gap[1] + 0.3
    sheet = Sheet(width, body, title=title, heading=heading)
    panels = []
    for index in range(count):
        row, column = divmod(index, columns)
        bottom = margin[1] + (rows - 1 - row) * (size + gap[1])
        panel = sheet.panel(margin[0] + column * (size + gap[0]), bottom, size, size)
        panel.tick_params(labelleft=column == 0, labelbottom=index + columns >= count)
        panels.append(panel)
    return sheet, panels


def legend_height(entries: int) -> float:
    """What a legend takes of the body, in inches: its first row stands in the foot."""
    return _LINE * math.ceil(entries / _LEGEND_COLUMNS)


def printable(text: str) -> str:
    """The text with every control character as a blank."""
    return "".join(character if character.isprintable() else " " for character in str(text))


def shown(finding: str, longest: int = 24) -> str:
    """A finding's name as people write it, cut where it is longer than a panel."""
    return shortened(printable(finding).replace("_", " "), longest)


def shortened(text: str, longest: int) -> str:
    """The text with its middle left out where it has more than ``longest`` characters."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return f"{text[: longest - 1 - tail]}…{text[len(text) - tail :]}"


def number(value: float, digits: int = 2) -> str:
    """The value, or a dash where it is undefined."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "–"


def say_undefined(axes: Axes, text: str = "undefined", ground: str = "white") -> None:
    """Say in the middle of a panel, whose colour is ``ground``, why nothing is drawn there."""
    box = {"facecolor": ground, "edgecolor": "none", "pad": 2}
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=GREY, bbox=box)
