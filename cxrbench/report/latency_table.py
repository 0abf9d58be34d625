"""Measured runtimes for the terminal: those that passed the gate by speed, then the others with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from cxrbench.latency.answer import Answer, eager_p50, knees, ranked
from cxrbench.latency.percentiles import PERCENTILES
from cxrbench.latency.record import described
from cxrbench.latency.split import STAGES
from cxrbench.report.tables import heading, marks, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_DASH = "–"
_FEW = "°"


def latency_tables(answers: Sequence[Answer]) -> list[RenderableType]:
    """Tables of one call: what passed, the split of whole requests, what failed, what was skipped."""
    shown: list[RenderableType] = []
    for run_id in dict.fromkeys(each.run_id for each in answers):
        of_run = [each for each in answers if each.run_id == run_id]
        shown += [heading(run_id), *_measured(of_run)]
    return shown


def _measured(answers: Sequence[Answer]) -> list[RenderableType]:
    passed = ranked(answers)
    failed = [each for each in answers if each.record is not None and not each.ranked]
    skipped = [each for each in answers if each.skipped]
    shown: list[RenderableType] = []
    if passed:
        shown += [_machine(passed[0]), _times(passed, answers), *map(Text, _notes(passed))]
        if any(_told(each)["split"] for each in passed):
            shown += [Text(), _splits(passed)]
    if failed:
        shown += [Text(), Text("Not ranked, since they fail the gate:", style="bold"), _gates(failed)]
    shown += marks(clause for each in answers if each.record for clause in each.record.nonconforming)
    if skipped:
        reasons = dict.fromkeys(
            f"{each.row.runtime} {each.row.precision}: {each.skipped}" for each in skipped
        )
        shown += [Text(), Text("Skipped:", style="bold"), *map(Text, reasons)]
    return shown


def _machine(answer: Answer) -> Text:
    told = _told(answer)
    threads = "" if answer.device == "cuda" else f", {told['threads']['intra_op']} threads"
    return Text(f"on {described(told['host'], answer.device)}{threads}, torch {told['versions']['torch']}")


def _times(passed: Sequence[Answer], answers: Sequence[Answer]) -> Table:
    table = plain_table()
    for column in ("runtime", "precision", "proved"):
        table.add_column(column, no_wrap=True)
    heads = ["batch", "px", *(f"p{percent}" for percent in PERCENTILES), "× eager", "images/s"]
    for column in [*heads, "cold start", "MB", "max Δlogit", "ΔAUC", "flips"]:
        table.add_column(column, justify="right", no_wrap=True)
    for each in passed:
        told, found = _told(each), each.document()
        base = eager_p50(answers, each)
        few = found["unsupported_percentiles"]
        table.add_row(
            str(each.row.runtime),
            each.row.precision,
            told["proved_precision"] or _DASH,
            str(each.row.batch_size),
            str(each.row.image_size),
            *(f"{found[f'p{p}_ms']:.4g}{_FEW if p in few else ''}" for p in PERCENTILES),
            _DASH if base is None else f"{base / found['p50_ms']:.2f}",
            f"{told['throughput']:.4g}",
            f"{found['cold_start_s']:.1f} s",
            f"{found['peak_memory_mb']:.0f}",
            *_gate_cells(told["gate"]),
        )
    return table


def _gate_cells(gate: dict[str, Any]) -> tuple[str, str, str]:
    return (
        _number(gate["max_abs_logit"], ".2g"),
        _number(gate["delta_auc"], "+.4f"),
        _number(gate["flips"], ".2%"),
    )


def _number(value: float | None, form: str) -> str:
    return _DASH if value is None else format(value, form)


def _notes(passed: Sequence[Answer]) -> list[str]:
    """What readers of the times must know."""
    notes = ["Times in ms, of one call whose inputs are on the device."]
    if any(each.document()["unsupported_percentiles"] for each in passed):
        notes.append(f"{_FEW} fewer samples than MLPerf's rule asks for: more --samples or --seconds.")
    for each in passed:
        told, what = _told(each), f"{each.row}"
        if not told["warm_up"]["stable"]:
            notes.append(f"{what}: did not settle within {told['warm_up']['seconds']:.0f} s of warm-up.")
        if (other := told["machine"]["other_cores_busy"]) > 0.2:
            notes.append(f"{what}: something else kept {other:.1f} cores busy meanwhile.")
    for (_, runtime, precision, _), (size, rate) in knees(passed).items():
        notes.append(
            f"{runtime} {precision}: the knee is at batch {size}, {rate:.4g} images/s: no other batch "
            "gives over 11 % more."
        )
    return notes


def _splits(passed: Sequence[Answer]) -> Table:
    table = plain_table()
    table.add_column("from file to decisions, ms", no_wrap=True)
    for column in ("batch", *STAGES, "whole", "network's share"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in passed:
        if split := _told(each)["split"]:
            table.add_row(
                f"{each.row.runtime} {each.row.precision}",
                str(each.row.batch_size),
                *(f"{split['ms'][stage]:.3g}" for stage in STAGES),
                f"{split['total_ms']:.4g}",
                f"{split['network_share']:.0%}",
            )
    return table


def _gates(failed: Sequence[Answer]) -> Table:
    table = plain_table()
    for column in ("runtime", "precision", "reason"):
        table.add_column(column)
    for column in ("batch", "px", "max Δlogit", "ΔAUC", "flips"):
        table.add_column(column, justify="right", no_wrap=True)
    for each in failed:
        gate = _told(each)["gate"]
        row = each.row
        table.add_row(
            str(row.runtime),
            row.precision,
            "; ".join(gate["reasons"]),
            str(row.batch_size),
            str(row.image_size),
            *_gate_cells(gate),
        )
    return table


def _told(answer: Answer) -> dict[str, Any]:
    assert answer.record is not None
    return dict(answer.record.told)
