"""What the terminal says of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cxrbench.report.ensemble_figures import figure_head, told_figures
from cxrbench.report.ensemble_section import difference_rows, member_rows, system_rows
from cxrbench.report.page.page import fixed
from cxrbench.report.tables import heading, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def ensemble_tables(record: Mapping[str, Any]) -> list[RenderableType]:
    """Weights, values on tune and test, and paired differences of a run whose source is an ensemble."""
    told, name = record["ensemble"], record["search"]
    members = _table("member", "weight", "over restarts", "alone on tune", "lost on tune", "AUC lost on test")
    for row in member_rows(told):
        gap = {end: row[f"auc_{end}"] for end in ("value", "low", "high")}
        spread = f"{fixed(row['lowest'])} to {fixed(row['highest'])}"
        cells = (fixed(row["weight"]), spread, fixed(row["fitness"], 4), fixed(row["lost_on_tune"], 4))
        members.add_row(row["member"], *cells, _signed(gap))
    shown = told_figures(told)
    named = (figure_head(told, figure).removeprefix("macro-").removeprefix("macro ") for figure in shown)
    heads = [f"{head} tune" for head in named]
    systems = _table("", *(cell for head in heads for cell in (head, "cross-fitted", "test")))
    for row in system_rows(name, told):
        figures: list[str] = []
        for figure in shown:
            figures += [fixed(row[f"{figure}_tune"], 4), fixed(row[f"{figure}_cross"], 4)]
            ends = {
                "value": row[f"{figure}_test"],
                "low": row[f"{figure}_low"],
                "high": row[f"{figure}_high"],
            }
            figures.append(_bracketed(ends))
        systems.add_row(row["system"], *figures)
    differences = _table("less", "figure", "difference on test", "p")
    for row in difference_rows(told):
        differences.add_row(row["baseline"], row["figure"], _signed(row), fixed(row["p"]))
    notes = [Text(note) for note in record["notes"]]
    page = Text(f"page:    {record['path']}/ensemble.html\nNot for clinical use.")
    return [
        heading(
            f"{record['system']}: {told['fitness']}, {told['combine']} combined, {told['seconds']:.1f} s"
        ),
        members,
        systems,
        *([differences] if told["baselines"] else []),
        *notes,
        page,
    ]


def _table(first: str, *others: str) -> Table:
    table = plain_table()
    table.add_column(first, no_wrap=True)
    for head in others:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _signed(gap: Mapping[str, float | None]) -> str:
    value, low, high = (math.nan if gap[end] is None else float(gap[end]) for end in ("value", "low", "high"))  # type: ignore[arg-type]
    if math.isnan(value):
        return "–"
    return f"{value:+.4f}" if math.isnan(low) else f"{value:+.4f} [{low:+.4f}, {high:+.4f}]"


def _bracketed(ends: Mapping[str, float | None]) -> str:
    if ends["low"] is None or ends["value"] is None:
        return fixed(ends["value"], 4)
    return f"{fixed(ends['value'], 4)} [{fixed(ends['low'], 4)}, {fixed(ends['high'], 4)}]"
