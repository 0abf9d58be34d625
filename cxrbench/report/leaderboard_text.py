"""A leaderboard as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence

from cxrbench.leaderboard.board import Board
from cxrbench.leaderboard.columns import COSTS
from cxrbench.report.leaderboard_words import (
    DASH,
    READ,
    READ_SHORT,
    Cell,
    cells,
    every_pair,
    figure,
    heading,
    remarks,
    seed_sentences,
    shown_columns,
    tested,
)

_LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "↓": r"$\downarrow$",
    "−": "$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
}

_FIGURE = r"\providecommand{\cxrfigure}[2]{\begin{tabular}[t]{@{}r@{}}#1\\[-1pt]{\tiny #2}\end{tabular}}"
"""LaTeX's command for a figure with its interval below it."""

_ON_A_PAGE = 20
"""Systems of a table, which each take two lines or more."""


def as_csv(boards: Sequence[Board], columns: Sequence[str]) -> str:
    """One row a system, run apart or null row of each board; numbers whole, undefined ones empty."""
    file = io.StringIO()
    metrics = [name for name in columns if name not in COSTS]
    costs = [name for name in columns if name in COSTS]
    figures = [f"{name}{end}" for name in metrics for end in ("", "_low", "_high", "_seed_sd")]
    heads = ["passport", "data", "kind", "group", "system", "seeds", "runs", *figures, *costs, "remarks"]
    writer = csv.DictWriter(file, heads, restval="", lineterminator="\n")
    writer.writeheader()
    for board in boards:
        shared = {"passport": board.passport, "data": board.data}
        for system in board.systems:
            values = {
                f"{name}{end}": value
                for name in metrics
                for end, value in zip(
                    ("", "_low", "_high", "_seed_sd"),
                    (
                        system.figures[name].value,
                        system.figures[name].low,
                        system.figures[name].high,
                        system.figures[name].seed_deviation,
                    ),
                    strict=True,
                )
            }
            writer.writerow(
                {
                    **shared,
                    "kind": "system",
                    "group": system.group if system.group is not None else "",
                    "system": _one_line(system.name),
                    "seeds": len(system.members),
                    "runs": " ".join(member.run_id for member in system.members),
                    **{name: _number(value) for name, value in values.items()},
                    **{name: _number(system.costs[name]) for name in costs},
                    "remarks": "; ".join(filter(None, (system.unplaced, *system.marks))),
                }
            )
        for run in board.apart:
            writer.writerow(
                {
                    **shared,
                    "kind": "not ranked",
                    "system": _one_line(run.name),
                    "runs": run.run_id,
                    board.metric: _number(run.value),
                    "remarks": _one_line(" ".join(run.reasons)),
                }
            )
        for null in board.nulls:
            row = {name: _number(null.values[name]) for name in metrics}
            writer.writerow({**shared, "kind": "null", "system": null.name, **row})
    return file.getvalue()


def as_markdown(boards: Sequence[Board], columns: Sequence[str]) -> str:
    """A heading, a table and its remarks for each board."""
    parts = []
    for board in boards:
        shown = shown_columns(board, columns)
        heads, rows = cells(board, shown)
        lines = [
            _pipes(heads),
            _pipes(["---", "---", "---", *["---:"] * len(shown)]),
            *(_pipes([_joined(cell) for cell in row]) for row in rows),
            *(_pipes(["", f"*{name}*", "", *values]) for name, values in _nulls(board, shown)),
        ]
        told = [
            *remarks(board),
            *(f"Beyond test sampling: {sentence}." for sentence in seed_sentences(board)),
            *([every] if (every := every_pair(board)) else []),
            *board.notes,
            f"{tested(board)}.",
        ]
        parts += [f"## {_markdown(board.data)}", "\n".join(lines), *_apart(board), *map(_markdown, told)]
    return "\n\n".join([*parts, READ, "Not for clinical use."]) + "\n"


def _apart(board: Board) -> list[str]:
    """The runs that are not ranked, with what checks found; nothing where there are none."""
    if not board.apart:
        return []
    rows = [_pipes([run.name, figure(run.value), " ".join(run.reasons), run.run_id]) for run in board.apart]
    heads = _pipes(["Not ranked", heading(board, board.metric), "why", "run"])
    return ["\n".join([heads, _pipes(["---", "---:", "---", "---"]), *rows])]


def as_latex(boards: Sequence[Board], columns: Sequence[str]) -> str:
    """A ``table`` for each board, a ``longtable`` where it is longer than a page; a gap between groups.

    Needs the packages booktabs and, where it says so, longtable. Intervals stand below their figures, so that
    the default columns fit a page of A4 or letter with margins of an inch.
    """
    long = any(len(board.systems) > _ON_A_PAGE for board in boards)
    packages = "\\usepackage{booktabs,longtable}" if long else "\\usepackage{booktabs}"
    head = f"% Needs {packages}. Not for clinical use.\n{_FIGURE}"
    return "\n\n".join([head, *(_latex_table(board, columns) for board in boards)]) + "\n"


def _latex_table(board: Board, columns: Sequence[str]) -> str:
    shown = shown_columns(board, columns)
    heads, rows = cells(board, shown)
    body: list[str] = []
    for place, (system, row) in enumerate(zip(board.systems, rows, strict=True)):
        if place and system.group != board.systems[place - 1].group:
            body.append("\\addlinespace")
        body.append(_latex_row(row))
    nulls = [
        _latex_row([Cell(""), Cell(name), Cell(""), *map(Cell, values)])
        for name, values in _nulls(board, shown)
    ]
    body += ["\\midrule", *nulls] if nulls else []
    caption = f"{board.data}, ranked by {heading(board, board.metric)}; {tested(board)}. {READ_SHORT}"
    titled = f"\\caption{{{latex(caption)}}}"
    head = ["\\toprule", _ampersands(map(latex, heads)), "\\midrule"]
    form = f"{{lp{{0.155\\linewidth}}l{'r' * len(shown)}}}"
    small = ["\\scriptsize", "\\setlength{\\tabcolsep}{2pt}"]
    if len(board.systems) > _ON_A_PAGE:
        every = [*head, "\\endhead", "\\bottomrule", "\\endfoot"]
        first = [f"{titled} \\\\", *head, "\\endfirsthead", *every]
        lines = ["\\begingroup", *small, f"\\begin{{longtable}}{form}", *first, *body]
        lines += ["\\end{longtable}", "\\endgroup"]
    else:
        lines = ["\\begin{table}", "\\centering", titled, *small, f"\\begin{{tabular}}{form}", *head, *body]
        lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
    return "\n".join(lines)


def _latex_row(row: Sequence[Cell]) -> str:
    """The group, the name and the other cells, with intervals below their figures."""
    group, name, *others = row
    figures = [
        f"\\cxrfigure{{{latex(cell.text)}}}{{{latex(cell.interval)}}}" if cell.interval else latex(cell.text)
        for cell in others
    ]
    return _ampersands([latex(group.text), f"\\raggedright {_breakable(latex(name.text))}", *figures])


def _breakable(text: str) -> str:
    """A name in LaTeX that may go on in the next line behind a sign in it: most names have no blank."""
    return re.sub(r"(\\_|[:,=/])(?=\S)", r"\1\\allowbreak{}", text)


def latex(text: str) -> str:
    """The text with every character that LaTeX would take for a command written out."""
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def _joined(cell: Cell) -> str:
    return f"{cell.text} {cell.interval}" if cell.interval else cell.text


def _nulls(board: Board, shown: Sequence[str]) -> list[tuple[str, list[str]]]:
    return [
        (null.name, [figure(null.values[name]) if name not in COSTS else DASH for name in shown])
        for null in board.nulls
    ]


def _pipes(row: Sequence[str]) -> str:
    return f"| {' | '.join(map(_markdown, row))} |"


def _ampersands(row: Iterable[str]) -> str:
    return f"{' & '.join(row)} \\\\"


def _markdown(text: str) -> str:
    """Escaped where Markdown or the HTML that it is made into would see markup."""
    escaped = re.sub(r"([\\`|\[\]])", r"\\\1", _one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"
