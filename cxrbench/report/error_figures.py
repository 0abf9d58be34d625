"""Figures of an error analysis: overlap of errors, disagreement of runs, slices with excess errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cxrbench.error_analysis.counts import overlaps
from cxrbench.error_analysis.panel import Panel, Question
from cxrbench.report.sheet import BLUE, GREY, INK, RULE, Sheet, printable, say_undefined, shortened, shown
from cxrbench.statistics.agreement import cohen_kappa, disagreement

MOST_SETS = 20
"""Sets of runs that an overlap shows."""

MOST_SLICES = 15

_COLUMN, _ROW = 0.42, 0.27
_LONGEST = 36


def overlap_figure(panel: Panel, question: Question, title: str) -> Sheet:
    """An UpSet plot: how many units exactly the runs with a dot get wrong.

    Lex et al., "UpSet: Visualization of Intersecting Sets", 2014.
    """
    sets = [each for each in overlaps(question) if any(each[0])]
    sets, hidden = sets[:MOST_SETS], len(sets) - MOST_SETS
    rows, columns = len(panel.members), max(len(sets), 1)
    what = "images" if question.name == "images" else "decisions"
    heading = f"Overlap of errors: {what} that exactly the dotted runs get wrong"
    if hidden > 0:
        heading += f"; {hidden} smaller sets are not shown"
    names = _names(panel)
    height, left = 1.5, 1.9 + 0.072 * max(map(len, names))
    sheet = Sheet(left + columns * _COLUMN + 0.4, rows * _ROW + height + 0.35, title=title, heading=heading)
    bars = sheet.panel(left, rows * _ROW + 0.1, columns * _COLUMN, height)
    dots = sheet.panel(left, 0.05, columns * _COLUMN, rows * _ROW)
    totals = sheet.panel(left - 1.35, 0.05, 1.0, rows * _ROW)
    places = np.arange(len(sets))
    counts = [count for _, count in sets]
    bars.bar(places, counts, width=0.62, color=INK, edgecolor="none")
    for place, count in enumerate(counts):
        size = 8 if count < 10_000 else 6.5
        bars.text(place, count, f"{count:,}", ha="center", va="bottom", size=size)
    bars.set(xlim=(-0.5, columns - 0.5), xticks=[], ylim=(0, 1.15 * max([1, *counts])), yticks=[])
    for side in ("left", "bottom"):
        bars.spines[side].set_visible(False)
        dots.spines[side].set_visible(False)
        totals.spines[side].set_visible(False)
    dots.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    for row in range(0, rows, 2):
        dots.axhspan(row - 0.5, row + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
    for place, (chosen, _) in enumerate(sets):
        inside = np.flatnonzero(chosen)
        dots.plot([place] * rows, range(rows), "o", color="#cfcfcf", markersize=6)
        dots.plot([place] * len(inside), inside, "-o", color=INK, markersize=6, linewidth=1.6)
    wrong = question.wrong.sum(axis=1)
    totals.barh(range(rows), wrong, height=0.55, color=BLUE, edgecolor="none")
    totals.set(xlim=(1.9 * max(1, wrong.max(initial=0)), 0), ylim=(rows - 0.5, -0.5), xticks=[])
    totals.set_yticks([])
    for row, name in enumerate(names):
        totals.text(wrong[row], row, f"{wrong[row]:,} ", ha="right", va="center", size=8)
        sheet.figure.text(*sheet.place(0.2, 0.05 + (rows - row - 0.5) * _ROW), name, va="center", size=8.5)
    if not sets:
        say_undefined(bars, "no errors")
    return sheet


def agreement_figure(panel: Panel, question: Question, title: str) -> Sheet:
    """Two heat maps: the share of units that two runs call differently, and their Cohen's kappa."""
    count = len(panel.members)
    side = max(1.6, 0.46 * count)
    of = "images" if question.name == "images" else "decisions"
    heading = f"Agreement of runs, of {question.wrong.shape[1]:,} {of}"
    names = _names(panel)
    left = 0.4 + 0.072 * max(map(len, names))
    sheet = Sheet(left + 2 * side + 1.1, side + 0.75, title=title, heading=heading)
    letters = [member.letter for member in panel.members]
    for place, (name, values, form, cmap) in enumerate(
        (
            ("called differently, %", 100 * disagreement(question.called), "z.1f", "Blues"),
            ("Cohen's kappa", cohen_kappa(question.called), "z.2f", "Blues_r"),
        )
    ):
        axes = sheet.panel(left + place * (side + 0.6), 0.3, side, side)
        off = np.where(np.eye(count, dtype=bool), np.nan, values)
        axes.imshow(off, cmap=cmap)
        middle = np.nanmean([np.nanmin(off), np.nanmax(off)]) if np.isfinite(off).any() else 0
        for row in range(count):
            for column in range(count):
                value = off[row, column]
                dark = value > middle if cmap == "Blues" else value < middle
                text = format(value, form) if np.isfinite(value) else "–"
                axes.text(column, row, text, ha="center", va="center", size=8, color="white" if dark else INK)
        axes.set_xticks(range(count), letters)
        axes.set_yticks(range(count), names if place == 0 else letters)
        axes.tick_params(length=0)
        axes.set_title(name)
        for spine in axes.spines.values():
            spine.set_visible(False)
    return sheet


def _names(panel: Panel) -> list[str]:
    return [f"{each.letter}  {shortened(printable(each.name), _LONGEST)}" for each in panel.members]


def slices_figure(slices: pd.DataFrame, title: str) -> Sheet:
    """The slices with the most excess error, with 95% intervals; ``slices`` is of one run, or of the mean."""
    chosen = slices.head(MOST_SLICES)
    height = 0.25 * max(len(chosen), 1)
    heading = "Slices with the most excess error (largest lower ends), 95% intervals with patients as units"
    sheet = Sheet(8.6, height + 0.6, title=title, heading=heading)
    axes = sheet.panel(4.1, 0.45, 4.2, height)
    places = np.arange(len(chosen))
    excess, low, high = (100 * chosen[name].to_numpy(np.float64) for name in ("excess", "low", "high"))
    axes.hlines(places, low, high, color=BLUE, linewidth=1.4)
    axes.plot(excess, places, "o", color=BLUE, markersize=4.5)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.hlines(places, 0, 1, transform=axes.get_yaxis_transform(), color=RULE, linewidth=0.7, zorder=0)
    names = [slice_name(row) for row in chosen.to_dict("records")]
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(max(len(chosen), 1) - 0.5, -0.5), xlabel="error rate above the rest, percentage points")
    if not len(chosen):
        say_undefined(axes, "no slice has patients enough")
    return sheet


def slice_name(row: Mapping[Any, Any]) -> str:
    """A slice in words, such as ``Mass missed, age 60-79``."""
    of = str(row["of"])
    what = {"decisions": "any error", "images": "any error"}.get(of, f"{shown(of)} missed")
    if row["attribute"] == "pair":
        return f"{what}, with {shown(str(row['slice']).split(' + ')[-1])}"
    words = {"images": "images of the patient: "}
    return f"{what}, {words.get(str(row['attribute']), str(row['attribute']) + ' ')}{row['slice']}"
