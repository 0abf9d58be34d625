"""What a run's page shows of its measured latencies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrbench.latency.record import Record, described, readable_records_of
from cxrbench.store import Store


def latency_section(store: Store, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The last measurement of each runtime, precision, batch and size on each machine, the fastest first.

    Args:
        store: where measurements are.
        record: the run's ``run.json``.

    Returns:
        None where the run has no network; no rows where it was not measured.
    """
    if not record.get("training"):
        return None
    last: dict[tuple[Any, ...], Record] = {}
    for each in readable_records_of(store, str(record["training"])):
        told = each.told
        # A network may be that of several runs, whose decisions differ, and so what the gate says.
        if told["run_id"] == record["run_id"]:
            key = _machine(each), told["batch_size"], told["image_size"], each.runtime, told["precision"]
            last[key] = each
    order = sorted(last, key=lambda key: (*key[:3], last[key].percentile(50)["value"]))
    return {"run_id": record["run_id"], "rows": [_row(last[key]) for key in order]}


def _machine(record: Record) -> str:
    return described(record.told["host"], str(record.told["device"]))


def _row(record: Record) -> dict[str, Any]:
    told, gate = record.told, record.told["gate"]
    middle, slowest = record.percentile(50), record.percentile(99)
    return {
        "machine": _machine(record),
        "runtime": record.runtime,
        "precision": told["precision"],
        "proved": told["proved_precision"] or "–",
        "batch": told["batch_size"],
        "px": told["image_size"],
        "p50": middle,
        "p99": slowest,
        "throughput": told["throughput"],
        "logit": gate["max_abs_logit"],
        "auc": gate["delta_auc"],
        "flips": gate["flips"],
        "gate": "passed" if record.passed else f"failed: {'; '.join(gate['reasons'])}",
        "nonconforming": record.nonconforming,
    }
