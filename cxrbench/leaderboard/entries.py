"""Stored runs as entries of a leaderboard: their record and the replicates of their figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cxrbench.evaluation.stored import Evaluation
from cxrbench.statistics.bootstrap import Estimate


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        record: its ``run.json``.
        estimates: figures with their replicates, by column of ``replicates.parquet``; none for an old run.
    """

    record: Mapping[str, Any]
    estimates: Mapping[str, Estimate] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.record["run_id"])

    @property
    def resamples(self) -> str:
        """The identity of the resamples; empty without replicates."""
        return next((estimate.seed for estimate in self.estimates.values()), "")

    def value(self, metric: str) -> float:
        """A figure of the whole test set; NaN where it is undefined, or an old run does not have it."""
        return defined(self.record["metrics"].get(metric))

    def finding_values(self, figure: str) -> dict[str, float]:
        """A figure of each finding; NaN where undefined."""
        return {row["finding"]: defined(row.get(figure)) for row in self.record["per_finding"]}

    def estimate(self, column: str) -> Estimate | None:
        """A figure with its replicates; None where it has none or is undefined."""
        estimate = self.estimates.get(column)
        return None if estimate is None or math.isnan(estimate.value) else estimate


def read_entry(root: Path, record: Mapping[str, Any], metrics: Iterable[str], figure: str) -> Entry:
    """An entry of a run in the store at ``root``.

    Args:
        root: folder of the store.
        record: the run's ``run.json``.
        metrics: whose replicates are read.
        figure: of which the replicates of each finding are read.
    """
    evaluation = Evaluation.of(root, record)
    if evaluation is None:
        return Entry(record)
    wanted = [*metrics, *(f"{figure}:{row['finding']}" for row in record["per_finding"])]
    kept = set(evaluation.replicates.columns)
    return Entry(record, {name: evaluation.estimate(name) for name in wanted if name in kept})


def with_asked(entry: Entry, figures: Mapping[str, Estimate]) -> Entry:
    """The entry with figures that were asked for beside those of every run."""
    values = {name: estimate.value for name, estimate in figures.items()}
    record = {**entry.record, "metrics": {**entry.record["metrics"], **values}}
    return replace(entry, record=record, estimates={**entry.estimates, **figures})


def on_same_resamples(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with replicates that can be subtracted: of the most common resamples, equally many.

    The others are left without replicates. The first of many resamples equal the few, so all are cut to the
    fewest.
    """
    named = Counter(entry.resamples for entry in entries if entry.estimates)
    if not named:
        return list(entries)
    common = named.most_common(1)[0][0]
    kept = [entry for entry in entries if entry.estimates and entry.resamples == common]
    fewest = min(len(estimate.replicates) for entry in kept for estimate in entry.estimates.values())
    return [
        replace(
            entry,
            estimates={
                name: replace(estimate, replicates=estimate.replicates[:fewest])
                for name, estimate in entry.estimates.items()
            },
        )
        if entry.resamples == common
        else Entry(entry.record)
        for entry in entries
    ]


def latest(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for each seed of a system: evaluated with replicates rather than without, then the newest.

    The same run made again by a newer cxrbench stands in the store beside the older one. Two of them are not
    two seeds.
    """
    best: dict[object, Entry] = {}
    for entry in sorted(entries, key=lambda each: (bool(each.estimates), each.record.get("created", ""))):
        best[entry.run_id if entry.record.get("seed") is None else entry.record["seed"]] = entry
    return sorted(best.values(), key=lambda each: (each.record.get("seed") or 0, each.run_id))


def defined(value: float | None) -> float:
    """A figure of a record, which has null where it is undefined."""
    return math.nan if value is None else float(value)
