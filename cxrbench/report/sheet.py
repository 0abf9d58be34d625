"""The sheet that every figure is drawn on: title above, panels, "Not for clinical use" below."""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox, BboxTransform
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

DPI = 150
"""Dots an inch of every figure; all lengths below are inches."""

PALETTE = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"),
)
"""Seaborn's colours for the colour-blind. Its import takes a second, which only heat maps are worth."""

BLUE, ORANGE, GREEN, VERMILION = PALETTE[:4]
GREY, INK, RULE = "#767676", "#222222", "#e6e6e6"

Format = Literal["png", "svg", "pdf"]

_SAVING: dict[Format, dict[str, Any]] = {
    # A file a little larger, in a third of the time.
    "png": {"pil_kwargs": {"compress_level": 1}},
    # When it was drawn says nothing, and would make two files of the same figure differ.
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}

_LINE = 0.17
_FOOT = 0.3
_CHARACTER = 0.092
"""Width of one character of the title, a little generous."""
_LEGEND_COLUMNS = 4
_LEAST_WIDTH = 6.5
"""That a legend and the line at the foot fit beside each other in."""

_STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.labelcolor": ".15",
    "grid.color": ".8",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
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
    # At these sizes it shows no more than that it takes a third of the time of drawing.
    "text.hinting": "none",
    # Names and ids are shown as they are; a "$" in one starts no formula.
    "text.parse_math": False,
    # The same figure is the same file; text in a PDF stays text.
    "svg.hashsalt": "cxrbench",
    "pdf.fonttype": 42,
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
        tiles: the small diagrams on it.
    """

    def __init__(self, width: float, body: float, *, title: str, heading: str) -> None:
        width = max(width, _LEAST_WIDTH)
        lines = textwrap.wrap(
            printable(title), int((width - 0.4) / _CHARACTER), max_lines=3, placeholder=" …"
        )
        head = 0.25 + _LINE * (len(lines) + 1) * 1.1
        self.width, self.body = width, body
        self.tiles: list[Tile] = []
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

    def tile(
        self, left: float, bottom: float, side: float, x: tuple[float, float], y: tuple[float, float]
    ) -> Tile:
        """A square tile, by inches from the body's lower left corner; ``x`` and ``y`` are its limits."""
        tile = Tile(self.figure, Bbox.from_bounds(left, bottom + _FOOT, side, side), x, y)
        self.tiles.append(tile)
        return tile

    def image(self, pixels: NDArray[np.uint8], left: float, bottom: float, side: float) -> None:
        """A grey image ``[h, w]`` as large as fits into the middle of a square, by inches."""
        height, width = pixels.shape
        dots = side * DPI
        scale = dots / max(height, width)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        fitted = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
        x, y = left * DPI + (dots - size[0]) / 2, (bottom + _FOOT) * DPI + (dots - size[1]) / 2
        # Turned over, as figures count rows from below.
        self.figure.figimage(fitted[::-1], round(x), round(y), cmap="gray", vmin=0, vmax=255, origin="lower")

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

    def save(self, path: Path | BytesIO, form: Format = "png") -> None:
        """Write the sheet as PNG, SVG or PDF."""
        self._save(path, form)

    def body_svg(self) -> bytes:
        """What is between title and foot as SVG on no ground, for a page that has all of these itself."""
        file = BytesIO()
        body = Bbox.from_bounds(0, _FOOT, self.width, self.body)
        self._save(file, "svg", bbox_inches=body, facecolor="none")
        return file.getvalue()

    def _save(self, path: Path | BytesIO, form: Format, **more: Any) -> None:
        with warnings.catch_warnings():
            # A character that the font lacks is drawn as a box, which says enough.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.figure.savefig(path, format=form, dpi=DPI, **_SAVING[form], **more)

    def place(self, left: float, bottom: float) -> tuple[float, float]:
        """Inches from the body's lower left corner, as shares of the figure."""
        return left / self.width, (bottom + _FOOT) / self._height


class Tile:
    """A small square diagram with coordinates of its own, drawn straight onto the figure.

    Matplotlib's Axes would take most of the time that a sheet of fourteen takes.

    Attributes:
        title: what stands above it.
        lines: what was plotted.
        bands: what was filled between two lines.
        texts: what was written in it.
        shades: colour of each filled cell, by its centre.
    """

    def __init__(self, figure: Figure, box: Bbox, x: tuple[float, float], y: tuple[float, float]) -> None:
        """``box`` is in inches of the figure; ``x`` and ``y`` are the coordinates at its edges."""
        self.box = box
        self.title = ""
        self.lines: list[Line2D] = []
        self.bands: list[Polygon] = []
        self.texts: list[Text] = []
        self.shades: dict[tuple[float, float], Any] = {}
        self._figure = figure
        self._x, self._y = x, y
        inches = BboxTransform(Bbox([[x[0], y[0]], [x[1], y[1]]]), box)
        self._transform = inches + figure.dpi_scale_trans

    def set_title(self, text: str) -> None:
        """Write above the tile."""
        self.title = text
        self._write(
            (self.box.x0 + self.box.x1) / 2, self.box.y1 + 0.07, text, ha="center", va="bottom", size=9
        )

    def plot(self, x: ArrayLike, y: ArrayLike, **look: Any) -> None:
        """A line, or with ``linestyle="none"`` its markers alone."""
        line = Line2D(x, y, transform=self._transform, **look)
        self._figure.add_artist(line)
        self.lines.append(line)

    def band(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, color: str) -> None:
        """What lies between two lines, lightly filled."""
        there = np.concatenate([np.column_stack([x, low]), np.column_stack([x, high])[::-1]])
        filled = Polygon(there, transform=self._transform, facecolor=color, alpha=0.2, linewidth=0)
        self._figure.add_artist(filled)
        self.bands.append(filled)

    def text(self, x: float, y: float, text: str, **look: Any) -> None:
        """A text at a point of the tile."""
        self.texts.append(self._figure.text(x, y, text, transform=self._transform, **look))

    def shade(self, x: float, y: float, color: Any) -> None:
        """Fill the unit square around a point."""
        square = Rectangle((x - 0.5, y - 0.5), 1, 1, transform=self._transform, facecolor=color, linewidth=0)
        self._figure.add_artist(square)
        self.shades[x, y] = color

    def ticks(self, x: Mapping[float, str], y: Mapping[float, str], length: float) -> None:
        """Labels below and left of the tile, and marks of ``length`` inches."""
        box = self.box
        for at, text in x.items():
            across = box.x0 + (at - self._x[0]) / (self._x[1] - self._x[0]) * box.width
            self._stroke((across, across), (box.y0, box.y0 - length))
            self._write(across, box.y0 - length - 0.05, text, ha="center", va="top", size=8)
        for at, text in y.items():
            up = box.y0 + (at - self._y[0]) / (self._y[1] - self._y[0]) * box.height
            self._stroke((box.x0, box.x0 - length), (up, up))
            self._write(box.x0 - length - 0.05, up, text, ha="right", va="center", size=8)

    def frame(self) -> None:
        """Lines left of the tile and below it."""
        box = self.box
        self._stroke((box.x0, box.x0, box.x1), (box.y1, box.y0, box.y0))

    def say_undefined(self, text: str = "undefined", ground: str = "white") -> None:
        """Say in the middle, whose colour is ``ground``, why nothing is drawn there."""
        look = {"facecolor": ground, "edgecolor": "none", "pad": 2}
        middle = (self._x[0] + self._x[1]) / 2, (self._y[0] + self._y[1]) / 2
        self.text(*middle, text, ha="center", va="center", color=GREY, bbox=look)

    def _stroke(self, x: Sequence[float], y: Sequence[float]) -> None:
        line = Line2D(x, y, color=GREY, linewidth=0.8, transform=self._figure.dpi_scale_trans)
        self._figure.add_artist(line)

    def _write(self, x: float, y: float, text: str, **look: Any) -> None:
        self._figure.text(x, y, text, transform=self._figure.dpi_scale_trans, **look)


def tiles(
    count: int,
    *,
    size: float,
    gap: tuple[float, float],
    margin: tuple[float, float],
    limits: tuple[tuple[float, float], tuple[float, float]],
    ticks: tuple[Mapping[float, str], Mapping[float, str]],
    tick_length: float,
    title: str,
    heading: str,
) -> tuple[Sheet, list[Tile]]:
    """A sheet with ``count`` square tiles, five a row, ticks only at the outside.

    Args:
        count: number of tiles.
        size: side of a tile.
        gap: between columns, between rows.
        margin: left of the first column, below the last row.
        limits: of each tile's x and y.
        ticks: labels by coordinate, of x and y.
        tick_length: inches.
        title: of the sheet.
        heading: what the sheet shows.
    """
    columns = min(5, count)
    rows = math.ceil(count / columns)
    width = margin[0] + columns * size + (columns - 1) * gap[0] + 0.25
    body = margin[1] + rows * size + (rows - 1) * gap[1] + 0.3
    sheet = Sheet(width, body, title=title, heading=heading)
    placed = []
    for index in range(count):
        row, column = divmod(index, columns)
        bottom = margin[1] + (rows - 1 - row) * (size + gap[1])
        tile = sheet.tile(margin[0] + column * (size + gap[0]), bottom, size, *limits)
        tile.ticks(ticks[0] if index + columns >= count else {}, ticks[1] if column == 0 else {}, tick_length)
        placed.append(tile)
    return sheet, placed


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
