"""How a search went: its scores trial by trial, its trials epoch by epoch, and its scores by each value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from cxrbench.report.sheet import BLUE, ORANGE, RULE, Sheet, house_style, say_undefined, shortened
from cxrbench.tuning.search import Parameter
from cxrbench.tuning.trials import best_of

if TYPE_CHECKING:
    from cxrbench.tuning.hyperband import Trial
    from cxrbench.tuning.trials import Plan

_PRUNED = "#a8a8a8"


def draw_search(folder: Path, trials: Sequence[Trial], plan: Plan) -> None:
    """Draw ``history.png``, ``curves.png`` and ``values.png``; a trial without a score is in none of them."""
    scored = [trial for trial in trials if trial.scores and math.isfinite(trial.score)]
    with house_style():
        _history(scored, plan).save(folder / "history.png")
        _curves(scored, plan).save(folder / "curves.png")
        _values(scored, plan).save(folder / "values.png")


def _history(trials: Sequence[Trial], plan: Plan) -> Sheet:
    """Each trial's last score, and the best complete one so far."""
    sheet = Sheet(8, 3.3, title=_title(plan), heading=f"{plan.metric} on val by trial")
    axes = sheet.panel(0.75, 0.6, 7.0, 2.6)
    _dots(axes, trials, [trial.number + 1 for trial in trials])
    complete = [trial for trial in trials if trial.state == "complete"]
    if complete:
        best = np.minimum if plan.metric == "loss" else np.maximum
        line = best.accumulate([trial.score for trial in complete])
        at = [trial.number + 1 for trial in complete]
        axes.step(
            [*at, plan.trials],
            [*line, line[-1]],
            where="post",
            color=ORANGE,
            linewidth=1.6,
            label="best so far",
        )
    axes.set(xlabel="trial", ylabel=plan.metric, xlim=(0.3, max(plan.trials, len(trials)) + 0.7))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, trials, legend=True)
    return sheet


def _curves(trials: Sequence[Trial], plan: Plan) -> Sheet:
    """Each trial's score by epoch; where it ends there, Hyperband ended it at a rung."""
    sheet = Sheet(
        8,
        3.7,
        title=_title(plan),
        heading=f"{plan.metric} on val by epoch, of the checkpoint kept until then",
    )
    axes = sheet.panel(0.75, 0.6, 7.0, 3.0)
    rungs = [plan.search.eta**power for power in range(64) if plan.search.eta**power <= plan.budget]
    for rung in rungs:
        axes.axvline(rung, color=RULE, linewidth=1, zorder=0)
    best = best_of(trials, plan.metric)
    for trial in sorted(trials, key=lambda trial: (trial.state == "complete", trial is best)):
        color = ORANGE if trial is best else BLUE if trial.state == "complete" else _PRUNED
        at, scores = list(trial.scores), list(trial.scores.values())
        axes.plot(at, scores, color=color, linewidth=2 if trial is best else 1, alpha=0.9)
        axes.plot(
            at[-1:], scores[-1:], color=color, marker="o" if trial.state == "complete" else "x", markersize=4
        )
    axes.set(xlabel="epoch (lines: rungs)", ylabel=plan.metric, xscale="log", xlim=(0.9, plan.budget * 1.1))
    ticks = [*rungs, *([plan.budget] if plan.budget > 1.3 * rungs[-1] else [])]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    for color, marker, name in (
        (ORANGE, "o", "best"),
        (BLUE, "o", "complete"),
        (_PRUNED, "x", "ended at a rung"),
    ):
        axes.plot([], [], color=color, marker=marker, markersize=4, label=name)
    _finish(axes, trials, legend=True)
    return sheet


def _values(trials: Sequence[Trial], plan: Plan) -> Sheet:
    """The scores by the value of each setting that varied."""
    names = list(plan.search.space)
    columns = min(len(names), 4)
    rows = math.ceil(len(names) / columns)
    width, height, gap = 2.2, 1.9, 0.25
    sheet = Sheet(
        0.75 + columns * (width + gap),
        rows * (height + 0.75) + 0.1,
        title=_title(plan),
        heading=f"{plan.metric} on val by value (crosses: ended at a rung)",
    )
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        axes = sheet.panel(
            0.75 + column * (width + gap), (rows - 1 - row) * (height + 0.75) + 0.55, width, height
        )
        _dots(
            axes, trials, _positions(axes, plan.search.space[name], [trial.values[name] for trial in trials])
        )
        axes.set_xlabel(shortened(name, 30))
        if column == 0:
            axes.set_ylabel(plan.metric)
        else:
            axes.tick_params(labelleft=False)
        _finish(axes, trials)
    limits = [axes.get_ylim() for axes in sheet.figure.axes]
    for axes in sheet.figure.axes:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    return sheet


def _positions(axes: Axes, parameter: Parameter, values: Sequence[object]) -> list[float]:
    """Where values stand on a panel's x axis, which is made to fit; equal choices stand side by side."""
    if not parameter.choices:
        if parameter.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.xaxis.set_minor_locator(NullLocator())
        return [float(value) for value in values]  # type: ignore[arg-type]
    places = {choice: place for place, choice in enumerate(parameter.choices)}
    axes.set_xticks(list(places.values()), [shortened(str(choice), 14) for choice in places])
    axes.set_xlim(-0.6, len(places) - 0.4)
    spread = np.linspace(-0.15, 0.15, len(values))
    return [places[value] + aside for value, aside in zip(values, spread, strict=True)]  # type: ignore[index]


def _dots(axes: Axes, trials: Sequence[Trial], at: Sequence[float]) -> None:
    for state, color, marker, name in (
        ("pruned", _PRUNED, "x", "ended at a rung"),
        ("complete", BLUE, "o", "complete"),
    ):
        shown = [(x, trial.score) for x, trial in zip(at, trials, strict=True) if trial.state == state]
        if shown:
            axes.plot(
                *zip(*shown, strict=True),
                linestyle="none",
                color=color,
                marker=marker,
                markersize=5,
                label=name,
            )


def _finish(axes: Axes, trials: Sequence[Trial], *, legend: bool = False) -> None:
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    if not trials:
        say_undefined(axes, "no trial has a score")
    elif legend:
        axes.legend(loc="best", frameon=True, framealpha=0.85, edgecolor="none")


def _title(plan: Plan) -> str:
    network, data = plan.spec.backbone.name, plan.spec.dataset.name
    return f"{plan.name}: {network} on {data}, {plan.budget} epochs at most, η {plan.search.eta}"
