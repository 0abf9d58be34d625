"""Measured and skipped rows as the command answers with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxrbench.latency.percentiles import PERCENTILES
from cxrbench.latency.record import Record, described
from cxrbench.latency.request import Row
from cxrbench.options import Use

KNEE = 0.9
"""The share of the best throughput that the batch at the knee reaches."""


@dataclass(frozen=True)
class Answer:
    """What became of a row.

    Attributes:
        run_id: whose network.
        row: what was asked for.
        device: ``cpu`` or ``cuda``.
        record: what was measured; None where it was not.
        skipped: why not; empty where it was.
    """

    run_id: str
    row: Row
    device: str
    record: Record | None
    skipped: str = ""

    @classmethod
    def of(cls, record: Record) -> Answer:
        """A stored record as an answer."""
        told = record.told
        row = Row(
            Use.model_validate(told["runtime"]), told["precision"], told["batch_size"], told["image_size"]
        )
        return cls(told["run_id"], row, told["device"], record)

    @property
    def ranked(self) -> bool:
        """Whether it was measured and passed the gate."""
        return self.record is not None and self.record.passed

    def document(self) -> dict[str, Any]:
        """As JSON: times in ms, throughput in images a second, memory in MB (2**20 bytes)."""
        told: Mapping[str, Any] = {} if self.record is None else self.record.told
        found = {each["percent"]: each for each in told["latency"]["percentiles"]} if told else {}
        return {
            "run_id": self.run_id,
            "runtime": str(self.row.runtime),
            "precision": self.row.precision,
            "batch_size": self.row.batch_size,
            "image_size": self.row.image_size,
            "device": self.device,
            **{f"p{percent}_ms": found[percent]["value"] if told else None for percent in PERCENTILES},
            "throughput": told["throughput"] if told else None,
            "cold_start_s": told["cold_start"]["total_s"] if told else None,
            "peak_memory_mb": _peak(told) if told else None,
            "gate": _gate(told["gate"]) if told else None,
            "proved_precision": told["proved_precision"] if told else None,
            "nonconforming": self.record.nonconforming if self.record else [],
            "skipped": self.skipped or None,
            "unsupported_percentiles": [p for p in PERCENTILES if told and not found[p]["supported"]],
            "host": described(told["host"], self.device) if told else None,
            "record": str(self.record.folder) if self.record else None,
        }


def _peak(told: Mapping[str, Any]) -> float:
    """Of the device where there is one, else of the process."""
    memory = told["memory"]
    peak: float = memory["host_mb"] if memory["device_mb"] is None else memory["device_mb"]
    return peak


def _gate(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("passed", "max_abs_logit", "delta_auc", "flips", "reasons")}


def eager_p50(answers: Iterable[Answer], like: Answer) -> float | None:
    """The p50 of eager fp32 for the same network and shape: the faster, where there are several."""
    found = [
        each.record.percentile(50)["value"]
        for each in answers
        if each.record is not None
        and each.row.runtime.name == "eager"
        and each.row.precision == "fp32"
        and _shape(each) == _shape(like)
    ]
    return min(found, default=None)


def ranked(answers: Sequence[Answer]) -> list[Answer]:
    """Those that passed the gate: by run, image size and batch size, the fastest first."""
    passed = [each for each in answers if each.ranked]
    order = {_shape(each): place for place, each in reversed(list(enumerate(answers)))}
    return sorted(passed, key=lambda each: (order[_shape(each)], _p50(each)))


def knees(answers: Sequence[Answer]) -> dict[tuple[str, str, str, int], tuple[int, float]]:
    """The smallest batch size whose throughput is 90 % of the best, and that throughput.

    By run, runtime, precision and image size, of those that passed with several batch sizes.
    """
    found: dict[tuple[str, str, str, int], dict[int, float]] = {}
    for each in answers:
        if each.record is not None and each.ranked:
            key = each.run_id, str(each.row.runtime), each.row.precision, each.row.image_size
            found.setdefault(key, {})[each.row.batch_size] = each.record.told["throughput"]
    return {
        key: min((size, rate) for size, rate in rates.items() if rate >= KNEE * max(rates.values()))
        for key, rates in found.items()
        if len(rates) > 1
    }


def _shape(answer: Answer) -> tuple[str, int, int]:
    return answer.run_id, answer.row.image_size, answer.row.batch_size


def _p50(answer: Answer) -> float:
    assert answer.record is not None
    value: float = answer.record.percentile(50)["value"]
    return value
