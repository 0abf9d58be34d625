"""Stored runs as entries of a leaderboard: their record and the replicates of their figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.evaluation.stored import Evaluation
from cxrbench.leaderboard.columns import Metric
from cxrbench.statistics.bootstrap import Estimate

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Entry:
    """One run.

    Attributes:
        record: its ``run.json``.
        replicates: float64 ``[B]`` by column of ``replicates.parquet``, of which there may be none.
        resamples: the identity of the resamples; empty without replicates.
    """

    record: Mapping[str, Any]
    replicates: Mapping[str, FloatArray] = field(default_factory=dict)
    resamples: str = ""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.record["run_id"])

    def value(self, metric: str) -> float:
        """A figure of the whole test set; NaN where it is undefined, or an old run does not have it."""
        return defined(self.record["metrics"].get(metric))

    def finding_values(self, figure: str) -> dict[str, float]:
        """A figure of each finding; NaN where undefined."""
        return {row["finding"]: defined(row.get(figure)) for row in self.record["per_finding"]}

    def estimate(self, metric: Metric) -> Estimate | None:
        """A figure with its replicates; None where it has none or is undefined."""
        covered = self.finding_values(metric.finding_figure) if metric.finding_figure else {}
        findings = tuple(name for name, value in covered.items() if not math.isnan(value))
        return self._estimate(metric.name, self.value(metric.name), findings or (metric.name,))

    def finding_estimate(self, figure: str, finding: str) -> Estimate | None:
        """A figure of one finding with its replicates; None where it has none or is undefined."""
        return self._estimate(f"{figure}:{finding}", self.finding_values(figure)[finding], (finding,))

    def _estimate(self, column: str, value: float, findings: tuple[str, ...]) -> Estimate | None:
        if column not in self.replicates or math.isnan(value):
            return None
        return Estimate(value, self.replicates[column], self.resamples, findings)


def read_entry(root: Path, record: Mapping[str, Any], metrics: Iterable[str], figure: str) -> Entry:
    """An entry of a run in the store at ``root``.

    Args:
        root: folder of the store.
        record: the run's ``run.json``.
        metrics: whose replicates are read.
        figure: of which the replicates of each finding are read; empty for none.
    """
    evaluation = Evaluation.of(root, record)
    if evaluation is None:
        return Entry(record)
    wanted = {*metrics, *(f"{figure}:{row['finding']}" for row in record["per_finding"])}
    columns = {
        str(name): column.to_numpy(np.float64)
        for name, column in evaluation.replicates.items()
        if name in wanted
    }
    # Named by the passport and the patients, so that what is not of the same resamples is told.
    return Entry(record, columns, record["intervals"]["resamples"])


def on_same_resamples(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with replicates that can be subtracted: of the most common resamples, equally many.

    The others are left without replicates. The first of many resamples equal the few, so all are cut to the
    fewest.
    """
    named = Counter(entry.resamples for entry in entries if entry.resamples)
    if not named:
        return list(entries)
    common = named.most_common(1)[0][0]
    kept = [entry for entry in entries if entry.resamples == common]
    fewest = min((len(column) for entry in kept for column in entry.replicates.values()), default=0)
    return [
        replace(entry, replicates={name: column[:fewest] for name, column in entry.replicates.items()})
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
    for entry in sorted(entries, key=lambda each: (bool(each.replicates), each.record.get("created", ""))):
        best[entry.run_id if entry.record.get("seed") is None else entry.record["seed"]] = entry
    return sorted(best.values(), key=lambda each: (each.record.get("seed") or 0, each.run_id))


def defined(value: float | None) -> float:
    """A figure of a record, which has null where it is undefined."""
    return math.nan if value is None else float(value)
