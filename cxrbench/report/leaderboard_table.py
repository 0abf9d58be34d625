"""A leaderboard in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from cxrbench.leaderboard.board import Board
from cxrbench.leaderboard.columns import COSTS
from cxrbench.report.leaderboard_words import (
    READ,
    cells,
    every_pair,
    figure,
    remarks,
    seed_sentences,
    shown_columns,
    tested,
)
from cxrbench.report.leaderboard_words import heading as column_heading
from cxrbench.report.tables import heading, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType


def leaderboard_tables(boards: Sequence[Board], columns: Sequence[str]) -> list[RenderableType]:
    """A table for each board: a row a system, null rows, runs apart, and what must be known."""
    parts: list[RenderableType] = []
    for board in boards:
        shown = shown_columns(board, columns)
        table = plain_table()
        heads, rows = cells(board, shown)
        for place, head in enumerate(heads):
            if place == 1:
                table.add_column(head, overflow="fold", min_width=24)
            else:
                table.add_column(head, justify="right" if place > 2 else "left", no_wrap=True)
        for row in rows:
            table.add_row(*(f"{cell.text}\n{cell.interval}" if cell.interval else cell.text for cell in row))
        table.add_section()
        for null in board.nulls:
            figures = (figure(null.values[name]) if name not in COSTS else "" for name in shown)
            table.add_row("", null.name, "", *figures, style="dim")
        parts += [
            heading(f"{board.data}: ranked by {column_heading(board, board.metric)}"),
            *map(Text, remarks(board)),
            table,
            *([_apart(board)] if board.apart else []),
            *(Text(f"Beyond test sampling: {sentence}.") for sentence in seed_sentences(board)),
            *([Text(every)] if (every := every_pair(board)) else []),
            *map(Text, board.notes),
            Text(tested(board)),
            Text(),
        ]
    return [*parts, Text(READ), Text("Not for clinical use.")]


def _apart(board: Board) -> Text:
    lines = (f"  {run.run_id}: {run.name}: {' '.join(run.reasons)}" for run in board.apart)
    return Text("\n".join(("Not ranked, as checks failed:", *lines)))
