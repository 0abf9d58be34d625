"""Sections that plugins add to the page of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.guarding import Raised
from cxrbench.hearing import answers
from cxrbench.report.page.page import DASH, data_uri
from cxrbench.sections import Picture, Section, Table

if TYPE_CHECKING:
    from cxrbench.store import Store


def plugin_sections(store: Store, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the template ``added.html.j2`` is given: a section each, or a sentence where a plugin raised.

    Args:
        store: where the run is.
        record: its ``run.json``, with ``path``.
    """
    heard = answers(
        "report_sections",
        shown_sections,
        store.reporter,
        store.root / "failures",
        run_id=record["run_id"],
        record=dict(record),
        folder=Path(record["path"]),
    )
    shown: list[dict[str, Any]] = []
    for plugin, found in heard:
        if isinstance(found, Raised):
            said = f"{plugin.distribution} could not make its section: {found.reason}"
            shown.append({"title": plugin.name, "failed": said, "parts": ()})
        else:
            shown += found
    return shown


def shown_sections(given: Sequence[Section]) -> list[dict[str, Any]]:
    """What a plugin gives, as the template shows it.

    Raises:
        TypeError: there is something else among it than Sections of texts, Tables and Pictures.
    """
    sections = list(given)
    for section in sections:
        if not isinstance(section, Section):
            raise TypeError(f"sections are wanted, not {type(section).__name__}")
    return [
        {"title": str(section.title), "failed": "", "parts": [_part(part) for part in section.parts]}
        for section in sections
    ]


def _part(part: object) -> dict[str, Any]:
    """A part with the name of its form.

    Raises:
        TypeError: it is of no known form.
    """
    if isinstance(part, str):
        return {"form": "text", "text": str(part)}
    if isinstance(part, Picture):
        image = data_uri(part.png, "image/png")
        return {"form": "picture", "image": image, "alt": str(part.alt), "caption": str(part.caption)}
    if isinstance(part, Table):
        forms = [_form([row[place] for row in part.rows], part.digits) for place in range(len(part.columns))]
        rows = [
            {str(place): _cell(cell, forms[place]) for place, cell in enumerate(row)} for row in part.rows
        ]
        columns = [(str(head), str(place), forms[place]) for place, head in enumerate(part.columns)]
        return {"form": "table", "caption": str(part.caption), "columns": columns, "rows": rows}
    raise TypeError(f"a section is made of texts, Tables and Pictures, not of {type(part).__name__}")


def _form(cells: Sequence[object], digits: int) -> str | int:
    """How a column is shown, as the macro ``table`` of ``parts.html.j2`` has it."""
    known = [cell for cell in cells if not _is_undefined(cell)]
    if not all(isinstance(cell, Real) for cell in known):
        return "text"
    return "count" if all(isinstance(cell, Integral) for cell in known) else int(digits)


def _is_undefined(cell: object) -> bool:
    return cell is None or (isinstance(cell, Real) and math.isnan(cell))


def _cell(cell: object, form: str | int) -> str | float | None:
    if form == "text":
        return DASH if _is_undefined(cell) else str(cell)
    return float(cell) if isinstance(cell, Real) else None
