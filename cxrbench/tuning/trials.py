"""The doing of a search: trials one after another, each a training like any other."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.conformance.marks import nonconforming
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.grid import cells
from cxrbench.registry import RUN_KINDS, Registry
from cxrbench.specs import RunSpec, resolve
from cxrbench.stages.train import StoppedError
from cxrbench.tuning.hyperband import Hyperband, OpenTrial, Trial
from cxrbench.tuning.results import write_best, write_trials
from cxrbench.tuning.search import Metric, Search, brackets, require_possible, shown, with_values

if TYPE_CHECKING:
    from cxrbench.workflow import Workflow

_COLUMNS: dict[Metric, str] = {
    "accuracy": "accuracy",
    "macro_auc": "macro_auc",
    "macro_f1": "macro_f1",
    "loss": "val_loss",
}
"""Where the training's log has each metric."""


@dataclass(frozen=True)
class Plan:
    """A search, everything settled.

    Attributes:
        name: of its folder.
        given: settings that all trials share, as a recipe has them; the epochs are the budget.
        spec: the same, resolved.
        search: what varies, and how.
        metric: what is sought on val.
        budget: epochs of a trial at most.
        trials: how many there are in all.
    """

    name: str
    given: dict[str, Any]
    spec: RunSpec
    search: Search
    metric: Metric
    budget: int
    trials: int

    def record(self) -> dict[str, Any]:
        """All that the trials depend on, as JSON."""
        return {
            "spec": self.spec.model_dump(mode="json"),
            "space": self.search.model_dump(mode="json")["space"],
            "metric": self.metric,
            "budget": self.budget,
            "eta": self.search.eta,
            "sampler": self.search.sampler,
        }


def plan_of(name: str, given: Mapping[str, Any], search: Search, registry: Registry) -> Plan:
    """Settle a search, and try what it asks for as far as that takes no data.

    Args:
        name: of the search.
        given: settings of the run, as a recipe has them, without its table of the search.
        search: what varies, and how.
        registry: where components are found.

    Raises:
        UsageError: the settings are those of several runs or of a training in cycles, or something in them or
            in the space is refused.
    """
    several = cells(given, {}, (), registry)
    if len(several) > 1:
        raise UsageError(
            f"A search is of one run, and these settings are of {len(several)}; leave one value of each, "
            "or put what may vary into [search.space] as choices."
        )
    (spec,) = several
    if spec.training.cycles:
        raise UsageError("A search trains in one cycle, which Hyperband may end; leave training.cycles out.")
    if spec.averaged > 1 or spec.relabelled_by:
        raise UsageError(
            "A search trains one network a trial; leave averaged and relabelled_by out, and give them to "
            "cxrbench run with the best recipe."
        )
    budget = search.budget or spec.training.epochs
    settings = {**given, "training": {**given.get("training", {}), "epochs": budget}}
    require_possible(settings, search, registry)
    return Plan(
        name,
        settings,
        resolve(settings, registry),
        search,
        search.metric or spec.training.select,
        budget,
        search.trials or sum(trials for trials, _ in brackets(budget, search.eta)),
    )


def tune(plan: Plan, folder: Path, workflow: Workflow, seconds: float = math.inf) -> list[Trial]:
    """Do the trials that are not done yet.

    Args:
        plan: the search.
        folder: gets ``journal.log``, ``trials.csv`` and ``best.toml``.
        workflow: trains.
        seconds: no trial begins after so many.

    Returns:
        All trials so far.

    Raises:
        CxrbenchError: the journal is damaged.
        UsageError: something does not fit the task, or the folder is another search's.
    """
    _require_fit(plan, workflow)
    started = time.monotonic()
    with workflow.store.locked(f"tuning-{plan.name}"):
        folder.mkdir(parents=True, exist_ok=True)
        hyperband = Hyperband(
            folder / "journal.log",
            name=plan.name,
            record=plan.record(),
            space=plan.search.space,
            budget=plan.budget,
            eta=plan.search.eta,
            maximises=plan.metric != "loss",
            sampler=plan.search.sampler,
            seed=plan.spec.seed,
        )
        while True:
            trials = hyperband.trials()
            write_trials(folder / "trials.csv", trials, tuple(plan.search.space))
            if best := best_of(trials, plan.metric):
                write_best(folder / "best.toml", plan, best)
            finished = sum(trial.state != "unfinished" for trial in trials)
            if finished >= plan.trials or time.monotonic() - started >= seconds:
                return trials
            _try(plan, hyperband.next(), workflow)


def _require_fit(plan: Plan, workflow: Workflow) -> None:
    """Refuse, before there is a folder, what fits not the data's task."""
    values = {name: parameter.ends[0] for name, parameter in plan.search.space.items()}
    workflow.job(resolve(with_values(plan.given, values), workflow.registry), planned=True)
    for name, parameter in plan.search.space.items():
        # One that is refused, such as for a check that it failed, is not to be met by a later trial.
        for component in parameter.ends[1:] if name in RUN_KINDS else ():
            spec = resolve(with_values(plan.given, {**values, name: component}), workflow.registry)
            workflow.job(spec, planned=True)
    if plan.metric == "accuracy" and workflow.open(plan.spec).data.task.kind == "multilabel":
        raise UsageError(
            "The metric accuracy is for tasks in which one class is right; this one is multilabel: use "
            "macro_auc, macro_f1 or loss."
        )


def best_of(trials: Sequence[Trial], metric: Metric) -> Trial | None:
    """The complete trial with the best score, the first of several; None where none is complete."""
    sign = -1 if metric == "loss" else 1
    complete = (trial for trial in trials if trial.state == "complete")
    return max(complete, key=lambda trial: sign * trial.score, default=None)


def _try(plan: Plan, trial: OpenTrial, workflow: Workflow) -> None:
    """Train one trial, as far as Hyperband lets it."""
    say = workflow.reporter.say
    place = f"trial {trial.number + 1} of {plan.trials}"
    say(f"{place}: {', '.join(f'{name} {shown(value)}' for name, value in trial.values.items())}")
    started = time.monotonic()

    marks: list[str] = []

    def facts() -> dict[str, Any]:
        seconds = round(time.monotonic() - started, 3)
        return {"seconds": seconds, **({"nonconforming": marks} if marks else {})}

    def ends(epochs: Sequence[Mapping[str, Any]]) -> bool:
        return trial.ends_after(kept_scores(epochs, plan.metric))

    try:
        spec = resolve(with_values(plan.given, trial.values), workflow.registry)
        marks += nonconforming(workflow.registry, spec)
        artifact = workflow.job(spec).train(ends)
    except StoppedError:
        trial.pruned(facts())
        say(f"{place}: ended by Hyperband")
        return
    except CxrbenchError as error:
        trial.failed(str(error), facts())
        workflow.reporter.warn(f"{place} failed: {error}")
        return
    with (artifact.folder / "epochs.csv").open(newline="", encoding="utf-8") as file:
        epochs = list(csv.DictReader(file))
    scores = kept_scores(epochs, plan.metric)
    # A training that the store had already is judged as if it were done now, but for its last epoch.
    if trial.ends_after(scores[:-1]):
        trial.pruned(facts())
        say(f"{place}: ended by Hyperband")
    elif math.isnan(scores[-1]):
        trial.failed(f"{plan.metric} is undefined on val.", facts())
        workflow.reporter.warn(f"{place} failed: {plan.metric} is undefined on val")
    else:
        trial.complete(scores, {**facts(), "train": artifact.id})
        say(f"{place}: {plan.metric} {scores[-1]:.4f}")


def kept_scores(epochs: Sequence[Mapping[str, Any]], metric: Metric) -> list[float]:
    """The metric, after each epoch, of the checkpoint that would be kept if the training ended there.

    Args:
        epochs: rows of a training's log, as it has them or as read from its CSV file.
        metric: which figure.
    """
    scores: list[float] = []
    for row in epochs:
        kept = str(row["best"]) == "True"
        scores.append(float(row[_COLUMNS[metric]] or math.nan) if kept else scores[-1])
    return scores
