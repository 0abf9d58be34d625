"""Figures of an ensemble: weights, convergence, what each member is worth, and test beside the baselines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.report.sheet import BLUE, GREY, INK, ORANGE, RULE, Sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.3
_LABELS = 2.9
_LONGEST = 34
_WIDTH = 7.2

HEADS = {
    "macro_f1": "macro-F1",
    "macro_auc": "macro AUC",
    "macro_ap": "macro AP",
    "exact_match": "exact match",
    "accuracy": "accuracy",
    "fnfr": "FNFR",
}
BASELINES = {"best_single": "best single (on tune)", "average": "average", "greedy": "greedy"}


def ensemble_figures(
    name: str, told: Mapping[str, Any], trace: Sequence[Mapping[str, Any]]
) -> dict[str, Sheet]:
    """The figures by name.

    ``weights``, ``test`` and, where there is something to be shown, ``convergence``, ``left_out``, ``front``.

    Args:
        name: of the search.
        told: of the ensemble, see :func:`cxrbench.workflow.contrast.contrast`.
        trace: of its search.
    """
    head = fitness_head(told)
    figures = {"weights": _weights(name, told), "test": _test(name, told)}
    if len(trace) > 1:
        figures["convergence"] = _convergence(name, head, trace)
    if len(told["members"]) > 1:
        figures["left_out"] = _left_out(name, head, told)
    if len(told["front"]) > 1:
        figures["front"] = _front(name, head, told)
    return figures


def fitness_head(told: Mapping[str, Any]) -> str:
    """What was made as high as it can be: a figure, or a metric, times -1 where the smaller is the better."""
    name = str(told["fitness"])
    return f"−{name}" if told.get("turned") else HEADS.get(name, name)


def figure_head(told: Mapping[str, Any], figure: str) -> str:
    """What a column of a figure is called: with an arrow where the smaller is the better."""
    return f"{HEADS.get(figure, figure)}{' ↓' if told.get('turned') and figure == told['fitness'] else ''}"


def told_figures(told: Mapping[str, Any]) -> tuple[str, ...]:
    """The figures that tables tell of an ensemble: what was searched for among them."""
    return tuple(dict.fromkeys(("macro_f1", "macro_auc", told["fitness"])))


def member_name(row: Mapping[str, Any]) -> str:
    """What figures and tables call a member."""
    return f"{row['name']}, seed {row['seed']}" if row["seed"] is not None else str(row["name"])


def _rows(title: str, heading: str, names: list[str]) -> tuple[Sheet, Axes]:
    """A sheet with a row for each name, the first one on top."""
    height = _ROW * len(names) + 0.2
    sheet = Sheet(_WIDTH, height + 0.75, title=title, heading=heading)
    axes = sheet.panel(_LABELS, 0.6, _WIDTH - _LABELS - 0.3, height)
    shown = [each if len(each) <= _LONGEST else each[: _LONGEST - 1] + "…" for each in names]
    axes.set_yticks(range(len(names)), shown)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE)
    axes.set_axisbelow(True)
    return sheet, axes


def _weights(name: str, told: Mapping[str, Any]) -> Sheet:
    rows = told["members"]
    several = any(row["highest"] > row["lowest"] for row in rows)
    heading = "Share of each member" + ("; line: over restarts" if several else "")
    sheet, axes = _rows(f"{name}: weights", heading, [member_name(row) for row in rows])
    axes.barh(range(len(rows)), [row["weight"] for row in rows], color=BLUE, height=0.6)
    if several:
        for place, row in enumerate(rows):
            axes.plot([row["lowest"], row["highest"]], [place, place], color=INK, linewidth=1.4)
    axes.set_xlim(0, None)
    axes.set_xlabel("weight")
    return sheet


def _convergence(name: str, head: str, trace: Sequence[Mapping[str, Any]]) -> Sheet:
    sheet = Sheet(
        _WIDTH, 3.6, title=f"{name}: convergence", heading=f"{head} on tune; thick: best so far, thin: mean"
    )
    axes = sheet.panel(0.8, 0.6, _WIDTH - 1.1, 2.9)
    restarts = sorted({row["restart"] for row in trace})
    for restart in restarts:
        rows = [row for row in trace if row["restart"] == restart]
        evaluations = [row["evaluations"] for row in rows]
        axes.plot(evaluations, [row["best"] for row in rows], color=BLUE, linewidth=1.3)
        axes.plot(evaluations, [row["mean"] for row in rows], color=GREY, linewidth=0.5)
    axes.set_xlabel("ensembles evaluated in each restart")
    axes.set_ylabel(head)
    axes.grid(color=RULE)
    return sheet


def _left_out(name: str, head: str, told: Mapping[str, Any]) -> Sheet:
    rows = told["members"]
    heading = f"Orange: {head} lost on tune; blue: macro AUC lost on test, with its 95% interval"
    sheet, axes = _rows(f"{name}: without a member", heading, [member_name(row) for row in rows])
    for place, row in enumerate(rows):
        gap = row["lost_auc"]
        axes.plot([gap["low"], gap["high"]], [place + 0.15] * 2, color=BLUE, linewidth=1.4)
        axes.plot(gap["value"], place + 0.15, "o", color=BLUE, markersize=4)
        axes.plot(row["lost_on_tune"], place - 0.15, "s", color=ORANGE, markersize=4)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("what the ensemble loses")
    return sheet


def _test(name: str, told: Mapping[str, Any]) -> Sheet:
    systems = {name: told["test"]}
    systems |= {BASELINES[key]: each["test"] for key, each in told["baselines"].items()}
    shown = [key for key in told_figures(told) if all(key in values for values in systems.values())]
    height = _ROW * len(systems) + 0.2
    sheet = Sheet(_WIDTH, height + 0.75, title=f"{name}: test", heading="With 95% intervals over patients")
    width = (_WIDTH - 1.9) / max(len(shown), 1)
    for column, figure in enumerate(shown):
        axes = sheet.panel(1.7 + column * width, 0.6, width - 0.25, height)
        for place, values in enumerate(systems.values()):
            each = {
                end: math.nan if values[figure][end] is None else values[figure][end]
                for end in values[figure]
            }
            color = BLUE if place == 0 else GREY
            axes.plot([each["low"], each["high"]], [place, place], color=color, linewidth=1.4)
            axes.plot(each["value"], place, "o", color=color, markersize=4)
        axes.set_ylim(len(systems) - 0.5, -0.5)
        axes.set_yticks(range(len(systems)), list(systems) if column == 0 else [""] * len(systems))
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x", color=RULE)
        axes.set_xlabel(figure_head(told, figure))
    return sheet


def _front(name: str, head: str, told: Mapping[str, Any]) -> Sheet:
    sheet = Sheet(
        _WIDTH, 3.4, title=f"{name}: front", heading="No ensemble is both cheaper and better on tune"
    )
    axes = sheet.panel(0.8, 0.6, _WIDTH - 1.1, 2.7)
    points = told["front"]
    costs = np.array([point["cost"] for point in points])
    axes.plot(costs, [point["fitness"] for point in points], "o-", color=BLUE, markersize=4)
    axes.set_xlabel("cost")
    axes.set_ylabel(f"{head} on tune")
    axes.grid(color=RULE)
    return sheet
