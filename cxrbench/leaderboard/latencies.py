"""What measurements of latency say of runs, for columns of costs: all of one machine, which is named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cxrbench.latency.record import Record, described, readable_records_of
from cxrbench.leaderboard.board import Board
from cxrbench.store import Store

COLUMNS = ("latency_ms", "latency_p99_ms")
"""The costs that come from measurements: p50 and p99 of one image."""


@dataclass(frozen=True)
class Latencies:
    """Latencies of runs on one machine.

    Attributes:
        of_runs: by run id, the columns.
        note: what was measured and where; empty where nothing was.
    """

    of_runs: Mapping[str, Mapping[str, float]]
    note: str

    def added_to(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """A run's record with its latencies, where it has some."""
        return {**record, **self.of_runs.get(record["run_id"], {})}

    def noted_on(self, board: Board) -> Board:
        """The board, saying where latencies are from where it shows some."""
        shown = any(system.costs[COLUMNS[0]] is not None for system in board.systems)
        return replace(board, notes=(*board.notes, self.note)) if shown else board


def latencies(store: Store, records: Sequence[Mapping[str, Any]]) -> Latencies:
    """The fastest that passed its gate of each run, on the machine that measured most runs.

    Of one image at the run's own size. Of machines with as many runs it is the one that measured last.

    Args:
        store: where measurements are.
        records: of runs.
    """
    by_machine: dict[tuple[str, str], dict[str, Record]] = defaultdict(dict)
    last: dict[tuple[str, str], str] = {}
    for run in records:
        for record in _ranked(store, run):
            machine = str(record.told["host"]["name"]), str(record.told["device"])
            best = by_machine[machine].get(run["run_id"])
            if best is None or _p50(record) < _p50(best):
                by_machine[machine][run["run_id"]] = record
            last[machine] = max(last.get(machine, ""), str(record.told["created"]))
    if not by_machine:
        return Latencies({}, "")
    chosen = max(by_machine, key=lambda machine: (len(by_machine[machine]), last[machine]))
    found = by_machine[chosen]
    told = next(iter(found.values())).told
    runtimes = ", ".join(sorted({f"{each.runtime} {each.told['precision']}" for each in found.values()}))
    note = (
        f"Latency: p50 of one image in the network alone, on {described(told['host'], chosen[1])}, by the "
        f"fastest measured engine of each run that passes the gate ({runtimes})."
    )
    marks = dict.fromkeys(clause for each in found.values() for clause in each.nonconforming)
    note += "".join(f" Not conforming: {clause}." for clause in marks)
    return Latencies(
        {
            run: {COLUMNS[0]: _p50(each), COLUMNS[1]: each.percentile(99)["value"]}
            for run, each in found.items()
        },
        note,
    )


def _ranked(store: Store, run: Mapping[str, Any]) -> Iterable[Record]:
    """Measurements of a run's network with one image of its own size, which may be ranked."""
    if not run.get("training"):
        return
    for record in readable_records_of(store, str(run["training"])):
        told = record.told
        own = told["run_id"] == run["run_id"] and told["image_size"] == run["spec"]["image_size"]
        if own and told["batch_size"] == 1 and record.passed:
            yield record


def _p50(record: Record) -> float:
    value: float = record.percentile(50)["value"]
    return value
