"""A leaderboard as one HTML file: tables, which systems differ, and a page for each run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cxrbench.leaderboard.board import ALPHA, Board, Pair, SeedGap, System
from cxrbench.leaderboard.columns import COSTS
from cxrbench.records import read_record
from cxrbench.report.error_section import error_section
from cxrbench.report.leaderboard_words import (
    READ,
    cost,
    counted,
    every_pair,
    figure,
    interval,
    remarks,
    seed_name,
    shown_columns,
    signed,
)
from cxrbench.report.page.charts import bar
from cxrbench.report.page.page import render_page
from cxrbench.report.page.paths import Scale, about_zero, scale_of, tick
from cxrbench.report.pareto import pareto_chart
from cxrbench.report.run_page import run_context, shown

if TYPE_CHECKING:
    from cxrbench.leaderboard.asked import Asked
    from cxrbench.store import Store

MATRIX = 24
"""Of how many of the best systems each pair is shown; a wider table could not be read."""

_COMPARED = 8
"""Of how many of the best systems findings are shown side by side."""


PICTURES = 1_500_000
"""Characters of heatmaps that a page holds at most, so that many runs' pages stay one file to be mailed."""


def leaderboard_page(
    store: Store, boards: Sequence[Board], columns: Sequence[str], asked: Sequence[Asked] = ()
) -> str:
    """The page's text.

    Args:
        store: where the runs of the boards are.
        boards: what is shown, one after another.
        columns: of the tables.
        asked: metrics that boards have beside those of every run.
    """
    shown_boards = [_board(board, columns) for board in boards]
    runs = [
        run_context(store, read_record(store.find_run(run_id)), _anchor(board), asked)
        for board in boards
        for run_id in _run_ids(board)
    ]
    _leave_out_pictures(runs)
    systems = sum(len(board.systems) for board in boards)
    sections = [(each["anchor"], each["title"]) for each in shown_boards]
    return render_page(
        "leaderboard.html.j2",
        title="Leaderboard",
        subtitle=f"{counted(systems, 'system')} of {counted(len(runs), 'run')} on "
        f"{counted(len(boards), 'test set')}. Test sets are never mixed.",
        sections=sections,
        boards=shown_boards,
        runs=runs,
        read=READ,
        alpha=f"{ALPHA:.0%}",
    )


def _leave_out_pictures(runs: Sequence[dict[str, Any]]) -> None:
    """Keep heatmaps of the first runs, up to :data:`PICTURES`; the others say that there are some."""
    left = PICTURES
    for run in runs:
        if run["heatmaps"] and (kept := run["heatmaps"]["kept"]):
            left -= sum(len(each["image"]) for each in kept["pictures"])
            kept["left_out"] = len(kept["pictures"]) if left < 0 else 0
            kept["pictures"] = [] if left < 0 else kept["pictures"]


def _run_ids(board: Board) -> list[str]:
    ranked = [member.run_id for system in board.systems for member in system.members]
    return [*ranked, *(run.run_id for run in board.apart)]


def _anchor(board: Board) -> str:
    return f"board-{board.passport}"


def _board(board: Board, columns: Sequence[str]) -> dict[str, Any]:
    shown_names = shown_columns(board, columns)
    metric = board.ranked_by
    ranked = [system.figures[board.metric] for system in board.systems]
    seeds = [member.value for system in board.systems for member in system.members]
    scale = scale_of([*(end for each in ranked for end in (each.value, each.low, each.high)), *seeds])
    # Bands of two shades in turn, so that groups one below the other are told apart.
    shades = {system.group: (system.group or 0) % 2 for system in board.systems}
    return {
        "anchor": _anchor(board),
        "title": board.data,
        "passport": board.passport,
        "label_version": board.label_version,
        "images": board.images,
        "patients": board.patients,
        "metric": metric.heading,
        "smaller": metric.smaller,
        "columns": [
            {
                "heading": COSTS[name] if name in COSTS else board.metrics[name].heading,
                "smaller": name not in COSTS and board.metrics[name].smaller,
                "ranked": name == board.metric,
            }
            for name in shown_names
        ],
        "scale": (tick(scale.low), tick(scale.high)),
        "systems": [
            _system(place, system, board, shown_names, scale, shades[system.group])
            for place, system in enumerate(board.systems, start=1)
        ],
        "nulls": [
            {
                "name": null.name,
                "cells": [figure(null.values[name]) if name not in COSTS else "" for name in shown_names],
            }
            for null in board.nulls
        ],
        "apart": [
            {"run_id": run.run_id, "name": run.name, "value": figure(run.value), "reasons": run.reasons}
            for run in board.apart
        ],
        "notes": board.notes,
        "verdict": _verdict(board),
        "every": every_pair(board),
        "remarks": remarks(board),
        "seeds": _seeds(board),
        "matrix": _matrix(board),
        "findings": _findings(board),
        "pareto": pareto_chart(board),
        "errors": None if board.errors is None else error_section(board.errors),
        "findings_of": "AUC" if not metric.finding_figure else metric.heading,
    }


def _system(
    place: int, system: System, board: Board, columns: Sequence[str], scale: Scale, shade: int
) -> dict[str, Any]:
    ranked = system.figures[board.metric]
    return {
        "place": place,
        "name": system.name,
        "group": system.group,
        "shade": "none" if system.group is None else ("even", "odd")[shade],
        "unplaced": system.unplaced,
        "marks": [mark for mark in system.marks if mark not in system.name],
        "members": [
            {"run_id": member.run_id, "name": seed_name(member.seed, member.run_id)}
            for member in system.members
        ],
        "bar": bar(
            ranked.value,
            ranked.low,
            ranked.high,
            scale,
            [member.value for member in system.members] if len(system.members) > 1 else (),
        ),
        "seeds_unknown": len(system.members) == 1,
        "cells": [_cell(system, name) for name in columns],
    }


def _cell(system: System, name: str) -> dict[str, Any]:
    if name in COSTS:
        value = system.costs[name]
        return {"text": cost(name, value), "interval": "", "value": math.nan if value is None else value}
    found = system.figures[name]
    return {"text": figure(found.value), "interval": interval(found), "value": found.value}


def _verdict(board: Board) -> str:
    """What the board shows, in a sentence or two."""
    placed = [system for system in board.systems if system.group is not None]
    if not board.systems:
        return "No run passes the checks."
    if not placed:
        return (
            "No system has two seeds, so none can be called better than another: the order below may be "
            "that of luck with seeds."
        )
    lead = [system for system in placed if system.group == 1]
    if len(placed) == 1:
        return f"Only {placed[0].name} has several seeds, so there is nothing to compare it with."
    if len(lead) == len(placed):
        return (
            f"The {len(placed)} systems with several seeds are not shown to differ, so their order is no "
            "ranking."
        )
    first, rest = lead[0].name, len(placed) - len(lead)
    tied = f", not shown to differ from {counted(len(lead) - 1, 'other')}," if len(lead) > 1 else ""
    return f"{first}{tied} leads and is shown to be better than {counted(rest, 'system')}."


def _seeds(board: Board) -> dict[str, Any]:
    """Differences between seeds of one system, drawn on one scale about 0."""
    gaps = board.seed_gaps
    scale = about_zero([end for gap in gaps for end in (gap.low, gap.high)])
    beyond = [gap for gap in gaps if gap.beyond_sampling]
    return {
        "rows": [_seed_row(gap, board, scale) for gap in gaps],
        "beyond": len(beyond),
        "sentence": _seed_sentence(board, beyond),
        "scale": (tick(scale.low), tick(scale.high), scale.place(0.0)),
    }


def _seed_sentence(board: Board, beyond: Sequence[SeedGap]) -> str:
    if not board.seed_gaps:
        return ""
    if not beyond:
        return "No two seeds of one system differ by more than the patients of this test set explain."
    widest = max(beyond, key=lambda gap: abs(gap.value))
    name = board.systems[widest.system].name
    ends = f"[{signed(widest.low)}, {signed(widest.high)}]"
    return (
        f"In {len(beyond)} of {counted(len(board.seed_gaps), 'pair')} two seeds of one system differ by more "
        f"than the patients of this test set explain, most in {name}: {signed(widest.value)} {ends}. An "
        "interval over patients alone would take such a difference for one between systems."
    )


def _seed_row(gap: SeedGap, board: Board, scale: Scale) -> dict[str, Any]:
    system = board.systems[gap.system]
    names = {member.run_id: seed_name(member.seed, member.run_id) for member in system.members}
    return {
        "system": system.name,
        "pair": f"{names[gap.first]} − {names[gap.second]}",
        "value": gap.value,
        "text": signed(gap.value),
        "interval": f"[{signed(gap.low)}, {signed(gap.high)}]",
        "beyond": gap.beyond_sampling,
        "bar": bar(gap.value, gap.low, gap.high, scale),
    }


def _matrix(board: Board) -> dict[str, Any] | None:
    """Each pair of the best systems; None where there is no pair."""
    count = min(MATRIX, board.paired)
    by_place = {(pair.first, pair.second): pair for pair in board.pairs}
    if not by_place:
        return None
    widest = max((abs(pair.value) for pair in board.pairs if not math.isnan(pair.value)), default=0.0)
    cells = [[_matrix_cell(by_place, row, column, widest) for column in range(count)] for row in range(count)]
    return {
        "names": [system.name for system in board.systems[:count]],
        "cells": cells,
        "left": len(board.systems) - count,
        "pairs": [
            _pair_row(pair, board) for pair in board.pairs if pair.second < count and pair.first < count
        ],
    }


def _matrix_cell(
    pairs: Mapping[tuple[int, int], Pair], row: int, column: int, widest: float
) -> dict[str, Any] | None:
    """The row's figure less the column's; None on the diagonal and where they cannot be compared."""
    pair = pairs.get((min(row, column), max(row, column)))
    if pair is None or row == column or math.isnan(pair.value):
        return None
    value = pair.value if row < column else -pair.value
    return {
        "text": signed(value, 3),
        "tone": f"{'up' if value > 0 else 'down'}{math.ceil(4 * abs(value) / widest) if widest else 0}",
        "mark": "●" if pair.shown else "○" if pair.every else "",
        "said": _said(pair),
    }


def _said(pair: Pair) -> str:
    if pair.shown:
        return "shown to differ"
    if pair.with_seeds:
        return "not shown to differ"
    return "seed variance unknown" + (", beyond test sampling" if pair.every else "")


def _pair_row(pair: Pair, board: Board) -> dict[str, Any]:
    return {
        "first": board.systems[pair.first].name,
        "second": board.systems[pair.second].name,
        "value": pair.value,
        "text": signed(pair.value),
        "interval": f"[{signed(pair.low)}, {signed(pair.high)}]",
        "p": pair.p,
        "runs": f"{pair.better} of {pair.runs}" + (f", worse in {pair.worse}" if pair.worse else ""),
        "better": pair.better / pair.runs,
        "said": _said(pair),
    }


def _findings(board: Board) -> dict[str, Any] | None:
    """Figures of each finding for the best systems side by side, the best of each finding marked."""
    best = board.systems[:_COMPARED]
    if not best or not best[0].findings:
        return None
    smaller = board.ranked_by.smaller
    rows = []
    for finding in best[0].findings:
        found = [system.findings.get(finding) for system in best]
        values = [each.value for each in found if each is not None and not math.isnan(each.value)]
        top = (min if smaller else max)(values, default=math.nan)
        rows.append(
            {
                "finding": shown(finding),
                "cells": [
                    {
                        "text": "–" if each is None else figure(each.value),
                        "interval": "" if each is None else interval(each),
                        "value": math.nan if each is None else each.value,
                        "best": each is not None and each.value == top,
                    }
                    for each in found
                ],
            }
        )
    return {"names": [system.name for system in best], "rows": rows}
