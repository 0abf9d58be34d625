"""Metrics that somebody asks for, of stored runs: worked out once, and kept as artifacts of evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.comparing.stored import StoredRun
from cxrbench.conformance.marks import nonconforming
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.evaluation.asked import estimate_asked, figure_name
from cxrbench.files import read_json, write_json
from cxrbench.leaderboard.columns import COSTS, METRICS
from cxrbench.leaderboard.columns import Metric as Column
from cxrbench.options import bind, make, parse_use
from cxrbench.records import task_kind
from cxrbench.registry import Registry
from cxrbench.specs import keyed
from cxrbench.statistics.bootstrap import Estimate
from cxrbench.store import Step, Store

if TYPE_CHECKING:
    from cxrbench.interfaces import Metric

VERSION = "1"
"""Changes when the same metric of the same evaluation gives other figures."""


@dataclass(frozen=True)
class Asked:
    """A metric that is asked for.

    Attributes:
        column: what it is on a leaderboard.
        keyed: name, version and options, as keys have them.
        metric: the component.
        nonconforming: a clause on it, where it failed a check.
    """

    column: Column
    keyed: Mapping[str, Any]
    metric: Metric
    nonconforming: tuple[str, ...] = ()


def asked_for(texts: Iterable[str], registry: Registry) -> tuple[Asked, ...]:
    """The metrics of ``--metric NAME[:key=value,…]``, each once.

    Raises:
        UsageError: there is no such metric or option, or the name is that of a figure that every run has.
    """
    found: dict[str, Asked] = {}
    for text in texts:
        use = parse_use("--metric", text)
        use = use.model_copy(update={"options": bind(registry.find("metric", use.name), use.options)})
        name = figure_name(use, registry)
        if name in METRICS or name in COSTS:
            raise UsageError(f"'{name}' is a figure that every run has; name it in --columns.")
        metric: Metric = make(use, "metric", registry)
        column = Column(name, name, smaller=not metric.higher_is_better)
        marks = tuple(nonconforming(registry, metric=use))
        found[name] = Asked(column, keyed(use, "metric", registry), metric, marks)
    return tuple(found.values())


def figures_of(store: Store, record: Mapping[str, Any], asked: Sequence[Asked]) -> dict[str, Estimate]:
    """What was asked for of a run, with replicates, by name; from the store where it was worked out before.

    What a run does not have is left out: it is of another kind of task, or what it was evaluated on is gone,
    damaged or of an older cxrbench.
    """
    if record.get("evaluation") is None:
        return {}
    kind, found = task_kind(record), {}
    for each in asked:
        if kind in each.metric.tasks:
            try:
                found[each.column.name] = _stored(store, record, each)
            except (CxrbenchError, FileNotFoundError):
                continue
    return found


def with_figures(record: Mapping[str, Any], figures: Mapping[str, Estimate]) -> dict[str, Any]:
    """A run's record with what was asked for among its metrics and their intervals."""
    if not figures:
        return dict(record)
    intervals = record["intervals"]
    ends = {name: estimate.interval(intervals["level"]) for name, estimate in figures.items()}
    return {
        **record,
        "metrics": {**record["metrics"], **{name: each.value for name, each in figures.items()}},
        "intervals": {
            **intervals,
            "metrics": {
                **intervals["metrics"],
                **{name: {"low": each.low, "high": each.high} for name, each in ends.items()},
            },
        },
    }


def _stored(store: Store, record: Mapping[str, Any], asked: Asked) -> Estimate:
    evaluation = store.step(str(record["evaluation"]).removeprefix("artifacts/"))
    step = Step("metric", {"version": VERSION, "metric": dict(asked.keyed)}, (evaluation,))
    folder = store.ensure(step, partial(_write, store, record, asked.metric)).folder
    told = read_json(folder / "metric.json")
    return Estimate(
        float("nan") if told["value"] is None else told["value"],
        pd.read_parquet(folder / "replicates.parquet")["value"].to_numpy(np.float64),
        told["resamples"],
        tuple(told["findings"]),
        told["units"],
    )


def _write(store: Store, record: Mapping[str, Any], metric: Metric, folder: Path) -> None:
    run = StoredRun(store, record, "leaderboard")
    if not run.is_there():
        raise CxrbenchError(f"What {run.run_id} was evaluated on cannot be read; run it again.")
    probabilities = run.probabilities.to_numpy(np.float64)
    found = estimate_asked(metric, run.cohort, probabilities, run.decisions)
    pd.DataFrame({"value": found.replicates}, dtype=np.float32).to_parquet(folder / "replicates.parquet")
    write_json(
        folder / "metric.json",
        {
            "value": found.value,
            "resamples": found.seed,
            "findings": list(found.findings),
            "units": found.units,
        },
    )
