"""What a leaderboard draws for papers: systems with their intervals, and which of them differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns

from cxrbench.leaderboard.board import Board
from cxrbench.report.leaderboard_words import heading, signed
from cxrbench.report.pareto import measured
from cxrbench.report.sheet import BLUE, GREY, INK, RULE, Format, Sheet, house_style, printable, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _LEFT, _RIGHT, _BELOW = 0.27, 2.6, 0.3, 0.6
"""Height of a system and margins of a panel, in inches."""

_MOST_PAIRED = 16
"""Of how many of the best systems each pair is drawn."""
_CELL = 0.5
_GROUND = "#f2f4f6"


def draw_boards(boards: Sequence[Board], forms: Sequence[Format]) -> dict[str, bytes]:
    """The figures by file name: ``PASSPORT-systems``, ``-differences`` and ``-pareto`` of each board.

    Args:
        boards: what is drawn; one without systems is left out, as are differences where there are none.
        forms: in which each figure is made.
    """
    files: dict[str, bytes] = {}
    with house_style():
        for board in boards:
            for name, sheet in _sheets(board):
                for form in dict.fromkeys(forms):
                    drawn = BytesIO()
                    sheet.save(drawn, form)
                    files[f"{board.passport}-{name}.{form}"] = drawn.getvalue()
    return files


def _sheets(board: Board) -> Iterable[tuple[str, Sheet]]:
    if board.systems:
        yield "systems", systems_figure(board)
    if board.pairs:
        yield "differences", differences_figure(board)
    if any(system.costs["latency_p99_ms"] is not None for system in board.systems):
        yield "pareto", pareto_figure(board)


def systems_figure(board: Board) -> Sheet:
    """A row a system: mean over seeds, 95% interval, and each seed; shaded by group.

    A system of one seed is drawn hollow, with a dashed interval: it is of patients alone.
    """
    width, height = 7.4, _ROW * len(board.systems)
    title = f"{board.data}, passport {board.passport}"
    what = "mean over seeds (dot), 95% interval, single seeds (ticks); bands: groups"
    sheet = Sheet(
        width, height + _BELOW + 0.15, title=title, heading=f"{heading(board, board.metric)}: {what}"
    )
    panel = sheet.panel(_LEFT, _BELOW, width - _LEFT - _RIGHT, height)
    for row, system in enumerate(board.systems):
        found, one = system.figures[board.metric], len(system.members) == 1
        if system.group is not None and system.group % 2:
            panel.axhspan(row - 0.5, row + 0.5, color=_GROUND, linewidth=0, zorder=0)
        color, look = (GREY, "--") if one else (BLUE, "-")
        panel.plot([found.low, found.high], [row, row], color=color, linestyle=look, linewidth=1.4)
        if not one:
            values = [member.value for member in system.members]
            panel.plot(values, [row] * len(values), "|", color=INK, markersize=7, markeredgewidth=0.8)
        panel.plot(found.value, row, "o", color=color, markersize=5, mfc="white" if one else color)
    groups = ["–" if system.group is None else str(system.group) for system in board.systems]
    _name_rows(
        panel, [f"{system.name}  {group}" for system, group in zip(board.systems, groups, strict=True)]
    )
    panel.grid(axis="x", color=RULE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.set_xlabel(f"{board.ranked_by.heading}; behind each name its group")
    return sheet


def pareto_figure(board: Board) -> Sheet:
    """The figure that ranks against the p99 latency of one image, of systems that were measured.

    The line joins those that no other system beats in both; of the others, only names are left out.
    """
    metric = board.ranked_by
    found = measured(board)
    width, height = 7.4, 3.6
    what = "up and to the left is better; line: no other system is both faster and better"
    sheet = Sheet(
        width,
        height + _BELOW + 0.15,
        title=f"{board.data}, passport {board.passport}",
        heading=f"{heading(board, board.metric)} against latency: {what}",
    )
    panel = sheet.panel(0.8, _BELOW, width - 0.8 - _RIGHT, height)
    for each in found:
        color, figure = BLUE if each.on_front else GREY, each.figure
        panel.plot([each.latency, each.latency], [figure.low, figure.high], color=color, linewidth=1.2)
        panel.plot(each.latency, figure.value, "o", color=color, markersize=5)
        if each.on_front:
            name = shortened(printable(each.system.name), 34)
            panel.annotate(
                name, (each.latency, figure.value), (5, 4), textcoords="offset points", size=7, color=INK
            )
    front = sorted((each for each in found if each.on_front), key=lambda each: each.latency)
    panel.plot(
        [each.latency for each in front], [each.figure.value for each in front], color=BLUE, linewidth=0.8
    )
    panel.set_xscale("log")
    panel.grid(color=RULE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.set_xlabel("p99 of one image in the network, ms")
    panel.set_ylabel(metric.heading)
    return sheet


def differences_figure(board: Board) -> Sheet:
    """The row's figure less the column's; bold and starred where the two are shown to differ."""
    count = min(_MOST_PAIRED, board.paired)
    values, notes = np.full((count, count), math.nan), np.full((count, count), "", dtype=object)
    for pair in board.pairs:
        if pair.first < count and pair.second < count:
            mark = "*" if pair.shown else "°" if pair.every else ""
            for row, column, sign in ((pair.first, pair.second, 1), (pair.second, pair.first, -1)):
                values[row, column] = sign * pair.value
                notes[row, column] = f"{signed(sign * pair.value, 3)}{mark}"
    side = _CELL * count
    sheet = Sheet(
        _LEFT + side + _RIGHT,
        side + _BELOW + 0.1,
        title=f"{board.data}, passport {board.passport}",
        heading=f"{board.ranked_by.heading}: row less column, above 0 where the row is better",
    )
    panel = sheet.panel(_LEFT, _BELOW, side, side)
    reach = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    sns.heatmap(
        values,
        ax=panel,
        annot=notes,
        fmt="",
        cmap=sns.diverging_palette(20, 155, s=65, l=60, as_cmap=True),
        vmin=-reach,
        vmax=reach,
        cbar=False,
        linewidths=1.5,
        linecolor="white",
        annot_kws={"size": 7, "color": INK},
    )
    names = [f"{place}  {system.name}" for place, system in enumerate(board.systems[:count], start=1)]
    panel.set_yticks(np.arange(count) + 0.5, [shortened(printable(name), 34) for name in names], rotation=0)
    panel.set_xticks(np.arange(count) + 0.5, [str(place + 1) for place in range(count)], rotation=0)
    panel.tick_params(length=0)
    panel.set_xlabel(
        "* shown to differ (Holm over all pairs)   ° in every pair of seeds, too few to show it", size=8
    )
    panel.xaxis.label.set_horizontalalignment("left")
    panel.xaxis.label.set_x((0.2 - _LEFT) / side)
    return sheet


def _name_rows(panel: Axes, names: Sequence[str]) -> None:
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [shortened(printable(name), 40) for name in names])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
