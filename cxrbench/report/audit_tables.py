"""An audit as tables for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cxrbench.audit import UNKNOWN
from cxrbench.report.names import title
from cxrbench.roles import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from cxrbench.audit import Audit

_DAMAGED_SHOWN = 20

_ADVICE = {
    "shared_patients": "what is learnt of them is tested on them: choose --split patient or official",
    "damaged_images": "download them again, or leave them out: --write-exclude FILE, run --exclude FILE",
    "duplicate_images": "one image in several roles or of several patients: --exclude all but one",
    "repeated_images": "one image repeated for one patient in one role: it counts that often",
    "label_conflict": "rows of one image have different labels: correct the label table",
    "row_conflict": "rows of one image have another patient, age, sex or view: correct the table",
    "unknown_label": "labels that name no class: correct the label table",
    "duplicate_rows": "rows of one image that agree: one is kept",
    "missing_rows": "images without a row in the label table: they are left out",
    "incomplete_rows": "rows without image, patient or labels: they are left out",
    "roleless_rows": "rows without a role in a table that gives roles: they are left out",
    "unlisted_images": "images in no list: they are left out",
    "implausible_age": "ages that are none: they count as unknown",
    "missing_labels": "images with labels that are not known: losses and figures leave these out",
}
"""What each kind of problem means, and what to do; a data set may have kinds of its own."""


def audit_tables(found: Audit) -> list[RenderableType]:
    """Counts by list and role, the problems with what to do, and a last line that says clean or not."""
    heading = Text(f"{title(found.dataset)}: audit; labels {found.label_version}", style="bold")
    return [
        heading,
        *map(Text, found.notes),
        _lists(found),
        _roles(found),
        *_problems(found),
        _verdict(found),
    ]


def _lists(found: Audit) -> Table:
    table = _table("official list", "listed", "present")
    for name, listed in found.listed.items():
        table.add_row(name, f"{listed:,}", f"{found.present[name]:,}")
    return table


def _roles(found: Audit) -> Table:
    table = _table("images", *ROLES, "all")

    def add(name: str, counts: Mapping[str, int]) -> None:
        numbers = [counts[role] for role in ROLES]
        table.add_row(name, *(f"{number:,}" for number in (*numbers, sum(numbers))))

    add("all", found.images)
    for head, rows in (
        ("finding", found.findings),
        ("sex", found.sex),
        ("age", found.age),
        ("view", found.view),
    ):
        table.add_row(Text(head, style="bold"))
        for name, counts in rows.items():
            if name != UNKNOWN or any(counts.values()):
                add(f"  {name.replace('_', ' ')}", counts)
    # Patients are not added up: one may be in several roles.
    table.add_row(Text("patients", style="bold"), *(f"{found.patients[role]:,}" for role in ROLES))
    return table


def _problems(found: Audit) -> list[RenderableType]:
    if not found.problems:
        return []
    table = Table("problem", "", box=None, pad_edge=False, header_style="bold")
    table.add_column("count", justify="right")
    table.add_column("such as", overflow="fold")
    table.add_column("what to do")
    for problem in found.problems:
        weight, examples = "serious" if problem.serious else "note", ", ".join(problem.examples)
        advice = _ADVICE.get(problem.kind, "")
        table.add_row(_words(problem.kind), weight, f"{problem.count:,}", examples, advice)
    damaged = list(found.pixels.damaged.items())[:_DAMAGED_SHOWN] if found.pixels else []
    return [table, *(Text(f"damaged: {image_id} {what}") for image_id, what in damaged)]


def _verdict(found: Audit) -> Text:
    seen = (
        f"{found.pixels.images:,} image files were read" if found.pixels else "image files were not looked at"
    )
    if found.clean:
        return Text(f"Clean; {seen}.", style="green")
    serious = (f"{_words(problem.kind)} ({problem.count:,})" for problem in found.problems if problem.serious)
    return Text(f"Not clean: {', '.join(serious)}; {seen}.", style="bold red")


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _table(*heads: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, justify="right" if table.columns else "left")
    return table
