"""What a search leaves: a table of its trials, and its best as a recipe for ``cxrbench run``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from cxrbench.canonical import jsonable
from cxrbench.files import write_text
from cxrbench.options import Use
from cxrbench.tuning.search import with_values

if TYPE_CHECKING:
    from cxrbench.tuning.hyperband import Trial
    from cxrbench.tuning.trials import Plan


def trial_record(trial: Trial) -> dict[str, Any]:
    """A trial as JSON."""
    return {
        "trial": trial.number + 1,
        "state": trial.state,
        "epochs": trial.epochs,
        "score": trial.score,
        "values": trial.values,
        **trial.facts,
    }


def write_trials(path: Path, trials: Sequence[Trial], names: Sequence[str]) -> None:
    """Write ``trials.csv``: a row a trial, a column a setting of ``names``; what is undefined is empty."""
    text = io.StringIO()
    facts = ("seconds", "train", "reason", "nonconforming")
    writer = csv.DictWriter(
        text,
        ("trial", "state", "epochs", "score", *names, *facts),
        lineterminator="\n",
        extrasaction="ignore",
    )
    writer.writeheader()
    for trial in trials:
        record = jsonable(trial_record(trial))
        marks = "; ".join(trial.facts.get("nonconforming", ()))
        writer.writerow({**record, **record["values"], "nonconforming": marks})
    write_text(path, text.getvalue())


def write_best(path: Path, plan: Plan, best: Trial) -> None:
    """Write the best trial's settings as a recipe, which trains the same network: its key is the trial's."""
    score = f"{plan.metric} {best.score:.4f}"
    head = (
        f"# The best of the search {plan.name}: trial {best.number + 1}, {score} on val\n"
        f"# (Hyperband, at most {plan.budget} epochs a trial, eta {plan.search.eta}).\n"
    )
    head += "".join(f"# NOT CONFORMING: {clause}\n" for clause in best.facts.get("nonconforming", ())) + "\n"
    write_text(path, head + tomli_w.dumps(_toml(with_values(plan.given, best.values))))


def _toml(value: Any) -> Any:
    """Settings as TOML has them: a component by its name, or with its options as a table."""
    if isinstance(value, Use):
        return _toml({"name": value.name, "options": value.options}) if value.options else value.name
    if isinstance(value, Mapping):
        return {key: _toml(item) for key, item in value.items() if item is not None}
    return [_toml(item) for item in value] if isinstance(value, list | tuple) else value
