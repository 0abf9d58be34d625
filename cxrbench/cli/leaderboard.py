"""``cxrbench leaderboard``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import (
    Output,
    common,
    complete_components,
    formats_option,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import NAME

if TYPE_CHECKING:
    from cxrbench.leaderboard.asked import Asked
    from cxrbench.leaderboard.board import Board
    from cxrbench.report.sheet import Format

_EPILOG = """
Example: cxrbench leaderboard --html leaderboard.html

One table for each test set, never mixed. Systems are ranked, not runs: seeds of one system are averaged, and
systems that are not shown to differ share a group.
"""


def _file(form: str) -> Path:
    return click.Path(dir_okay=False, path_type=Path)  # type: ignore[return-value]


@click.command(epilog=_EPILOG)
@click.option("--html", type=_file("html"), metavar="FILE", help="Write one page that works offline.")
@click.option("--csv", "csv_", type=_file("csv"), metavar="FILE", help="Write a CSV file.")
@click.option("--md", type=_file("md"), metavar="FILE", help="Write a Markdown file.")
@click.option("--tex", type=_file("tex"), metavar="FILE", help="Write LaTeX tables (booktabs).")
@click.option(
    "--figures",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write figures into a folder; made where there is none.",
)
@formats_option
@click.option(
    "--columns",
    metavar="NAME,…",
    help="Metrics and costs to show, such as macro_auc,macro_f1,parameters.",
)
@click.option(
    "--sort", default="macro_auc", show_default=True, metavar="METRIC", help="The metric that ranks."
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar=NAME,
    shell_complete=complete_components("metric"),
    help="Also work out this metric of every run, to be shown or sorted by; may be repeated.",
)
@click.option("--passport", metavar="ID", help="Only the test set with this passport.")
@nonconforming_option
@results_option
@common
def leaderboard(
    output: Output,
    html: Path | None,
    csv_: Path | None,
    md: Path | None,
    tex: Path | None,
    figures: Path | None,
    forms: tuple[Format, ...],
    columns: str | None,
    sort: str,
    metrics: tuple[str, ...],
    passport: str | None,
    results: Path,
) -> None:
    """Rank the systems of the store, with intervals, and groups where they do not differ."""
    from cxrbench.leaderboard.columns import DEFAULT_COLUMNS, require_columns
    from cxrbench.leaderboard.kept import boards_in
    from cxrbench.report.leaderboard_table import leaderboard_tables
    from cxrbench.store import Store

    more: tuple[Asked, ...] = ()
    if metrics:
        from cxrbench.leaderboard.asked import asked_for

        more = asked_for(metrics, output.components().registry)
    asked = tuple(filter(None, map(str.strip, columns.split(",")))) if columns else DEFAULT_COLUMNS
    shown = require_columns(asked, sort, [each.column for each in more])
    store = Store(results, output.reporter, create=False)
    boards = _of_passport(boards_in(store, sort, more), passport)
    files: dict[Path, bytes] = {}
    if csv_ or md or tex:
        from cxrbench.report.leaderboard_text import as_csv, as_latex, as_markdown

        for path, write in ((csv_, as_csv), (md, as_markdown), (tex, as_latex)):
            if path:
                files[path] = write(boards, shown).encode()
    if figures:
        from cxrbench.report.leaderboard_figures import draw_boards

        files |= {figures / name: drawn for name, drawn in draw_boards(boards, forms).items()}
    if html:
        from cxrbench.report.leaderboard_page import leaderboard_page

        files[html] = leaderboard_page(store, boards, shown, more).encode()
    _write(files)
    if output.as_json:
        told = [asdict(board) for board in boards]  # of many systems it takes longer than the table
        output.document({"boards": told, "files": [str(path) for path in files]})
    tables = leaderboard_tables(boards, shown) if boards else ["The store holds no runs."]
    output.show(*tables, *map(str, files))


def _of_passport(boards: Sequence[Board], passport: str | None) -> Sequence[Board]:
    from cxrbench.errors import UsageError

    if passport is None:
        return boards
    chosen = [board for board in boards if passport and board.passport.startswith(passport)]
    if len(chosen) != 1:
        known = ", ".join(f"{board.passport} ({board.data})" for board in boards) or "none"
        raise UsageError(f"'{passport}' is not the passport of one test set; there are {known}.")
    return chosen


def _write(files: dict[Path, bytes]) -> None:
    """All that was asked for, once all of it is made."""
    from cxrbench.files import write_bytes

    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
