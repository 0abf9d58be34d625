"""Comparisons for the terminal: a row a figure, the difference with its interval, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from cxrbench.comparing.paired import Comparison, Row
from cxrbench.report.tables import heading, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_MARK = {1: "better", -1: "worse", 0: ""}


def comparison_tables(comparisons: Sequence[Comparison]) -> list[RenderableType]:
    """Each comparison: figures over all findings, AUC of each finding, and what may be said."""
    shown: list[RenderableType] = []
    for each in comparisons:
        shown += [
            heading(f"{each.second.name}  against  {each.first.name}"),
            *([Text(f"both: {each.common}")] if each.common else []),
            _table(each, each.overall, "all findings"),
            Text(),
            _table(each, each.findings, "AUC of"),
            Text(),
            Text(each.verdict, style="bold"),
            Text(_caption(each)),
            Text(),
        ]
    return shown[:-1]


def _table(comparison: Comparison, rows: Sequence[Row], head: str) -> Table:
    table = plain_table()
    checked = any(row.delong for row in rows)
    of_findings = rows is comparison.findings
    table.add_column(head, no_wrap=True)
    heads = ["first", "second", "difference", "95% interval", "p (Holm)" if of_findings else "p"]
    for column in [*heads, *(["DeLong's interval", "its p"] if checked else [])]:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("second is", no_wrap=True)
    for row in rows:
        low, high, p = row.delong or (math.nan,) * 3
        check = [_interval(low, high), _p(p)] if checked else []
        said = _MARK[row.direction] if comparison.kind == "systems" else _within(row)
        table.add_row(
            row.head.replace("_", " "),
            _number(row.first),
            _number(row.second),
            _number(row.value, sign="+"),
            _interval(row.low, row.high),
            _p(row.p),
            *check,
            said,
        )
    return table


def _within(row: Row) -> str:
    """Of single networks only what the test set shows; which system is better is another question."""
    return {1: "better here", -1: "worse here", 0: ""}[row.direction]


def _caption(comparison: Comparison) -> str:
    record = comparison.first.runs[0].record
    passport = record["passport"]
    of = (
        "intervals hold test sampling and seeds (Student's t)"
        if comparison.kind == "systems"
        else "intervals are of resampled patients alone"
    )
    counts = " against ".join(
        f"{len(side.runs)} seed{'s' if len(side.runs) > 1 else ''}"
        for side in (comparison.second, comparison.first)
    )
    return (
        f"{passport['images']['test']:,} images of {passport['patients']['test']:,} patients of "
        f"{passport['dataset']}, passport {passport['id']}; {counts}; {of}. Difference is second less first."
    )


def _number(value: float, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}.4f}"


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) or math.isnan(high) else f"[{low:+.4f}, {high:+.4f}]"


def _p(value: float) -> str:
    return "–" if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
