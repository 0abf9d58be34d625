"""What ``cxrbench tune`` answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.report.tables import heading, marks, plain_table
from cxrbench.tuning.search import shown
from cxrbench.tuning.trials import best_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.tuning.hyperband import Trial
    from cxrbench.tuning.trials import Plan

_MOST = 10
"""Rows of the table; the others are in the file."""


def search_table(trials: Sequence[Trial], plan: Plan, folder: Path) -> list[RenderableType]:
    """The best trials of a search, how many came how far, and where its files are."""
    states = Counter(trial.state for trial in trials)
    counts = ", ".join(f"{states[state]} {state}" for state in ("complete", "pruned", "failed", "unfinished"))
    lines: list[RenderableType] = [
        heading(f"{plan.name}: {plan.metric} on val, {len(trials)} of {plan.trials} trials ({counts})")
    ]
    sign = 1 if plan.metric == "loss" else -1
    # Scores of trials that were ended early are not of the same epochs, so these come after.
    order = {"complete": 0, "pruned": 1}
    scored = [trial for trial in trials if trial.state in order]
    scored.sort(key=lambda trial: (order[trial.state], sign * trial.score))
    table = plain_table()
    for column in ("trial", "state", plan.metric, "epochs", *plan.search.space):
        table.add_column(column, overflow="fold")
    for trial in scored[:_MOST]:
        values = [shown(trial.values[name]) for name in plan.search.space]
        table.add_row(str(trial.number + 1), trial.state, f"{trial.score:.4f}", str(trial.epochs), *values)
    lines.append(table)
    lines += [
        f"trial {trial.number + 1} failed: {trial.facts['reason']}"
        for trial in trials
        if trial.state == "failed"
    ]
    lines += marks(clause for trial in trials for clause in trial.facts.get("nonconforming", ()))
    if best_of(trials, plan.metric):
        lines.append(f"best:   {folder / 'best.toml'} (cxrbench run --config trains nothing anew)")
    lines.append(f"trials: {folder / 'trials.csv'}, history.png, curves.png, values.png")
    return lines
