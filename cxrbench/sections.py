"""What a plugin may add to a page: text, tables and pictures, as values. Nothing is HTML, all is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cxrbench.errors import CxrbenchError

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Table:
    """A table that readers can sort by each column.

    Attributes:
        caption: what it shows, in a sentence or less.
        columns: headings; the first column heads its row.
        rows: a cell for each column: text or a number; None or NaN is shown as a dash.
        digits: of numbers that are no whole ones, 0 or more.

    Raises:
        CxrbenchError: a row has more or fewer cells than there are columns, or ``digits`` is below 0.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]
    digits: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.digits < 0:
            raise CxrbenchError(f"The table '{self.caption}' has {self.digits} digits; give 0 or more.")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise CxrbenchError(
                    f"A row of the table '{self.caption}' has {len(row)} cells, and there are "
                    f"{len(self.columns)} columns; give a cell for each."
                )


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture; dark pages turn its greys over, so it should be drawn on white.

    Attributes:
        png: content of a PNG file, which becomes part of the page.
        alt: what it shows, for whoever does not see it.
        caption: the line below it.

    Raises:
        CxrbenchError: it is no PNG file.
    """

    png: bytes
    alt: str
    caption: str

    def __post_init__(self) -> None:
        """Refuse what a page could not show."""
        if not self.png.startswith(_PNG):
            raise CxrbenchError(f"The picture '{self.alt}' is no PNG file; save it as one.")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a page.

    Attributes:
        title: its heading.
        parts: what is in it, in this order: a text is a paragraph.
    """

    title: str
    parts: Sequence[str | Table | Picture]
