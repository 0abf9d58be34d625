"""What a run says of files, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cxrbench.predicting.answer import OfFinding, Predicted, PredictedImage
from cxrbench.report.sheet import number, printable
from cxrbench.report.tables import heading, marks, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_IN_FULL = 4
"""So many images are shown with all findings; more of them with those that are called."""

_MOST = 60
"""Rows of a table."""


def prediction_tables(predicted: Predicted) -> list[RenderableType]:
    """Images with their findings, what was assumed or odd, and the files that failed."""
    images = predicted.images
    body = [_whole(images) if len(images) <= _IN_FULL else _short(images)] if images else []
    more = len(images) - _MOST
    left = [Text(f"{more:,} more images: --out FILE.csv has all")] if more > 0 else []
    failures = [f"{printable(str(each.path))} {printable(each.why)}" for each in predicted.failed]
    return [
        heading(f"{predicted.run_id}: not for clinical use"),
        *body,
        *left,
        *(Text(printable(note)) for note in predicted.notes),
        *marks(predicted.nonconforming),
        *(Text(f"failed: {each}") for each in failures[:_MOST]),
    ]


def _whole(images: Sequence[PredictedImage]) -> Table:
    """A row for each image and finding."""
    table = _table("file", "patient", "finding", "probability", "threshold", "decision")
    for image in images:
        for place, each in enumerate(image.findings):
            first = (printable(str(image.path)), _patient(image)) if not place else ("", "")
            called = {True: "present", False: "absent", None: "–"}[each.called]
            name = each.finding.replace("_", " ")
            style = "bold" if each.called else None
            row = (*first, name, number(each.probability, 3), number(each.threshold, 3), called)
            table.add_row(*row, style=style)
    return table


def _short(images: Sequence[PredictedImage]) -> Table:
    """A row for each image."""
    table = _table("file", "patient", "called (probability ≥ threshold)", "warnings")
    for image in images[:_MOST]:
        called = ", ".join(map(_called, image.called)) or "–"
        odd = ", ".join(each.name for each in image.oddities)
        table.add_row(printable(str(image.path)), _patient(image), called, odd)
    return table


def _table(*heads: str) -> Table:
    table = plain_table()
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def _called(each: OfFinding) -> str:
    # A task that calls the most probable class has no thresholds.
    above = f" ≥ {number(each.threshold, 3)}" if math.isfinite(each.threshold) else ""
    return f"{each.finding.replace('_', ' ')} ({number(each.probability, 3)}{above})"


def _patient(image: PredictedImage) -> str:
    facts = image.facts
    age = f"{facts.age:.0f} y" if math.isfinite(facts.age) else ""
    told = [image.patient_id, age, facts.sex or "", facts.view or ""]
    return printable(", ".join(each for each in told if each))
