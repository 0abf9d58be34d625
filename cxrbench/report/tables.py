"""Runs as tables for the terminal. What is undefined is shown as a dash, never as 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.plan import Plan

_NULL_NAMES = {"prevalence": "always the prevalence", "always_negative": "always negative"}

_FIGURES = (
    ("AUC", "macro_auc"),
    ("AP", "macro_ap"),
    ("F1", "macro_f1"),
    ("micro F1", "micro_f1"),
    ("exact", "exact_match"),
    ("Hamming", "hamming_loss"),
    ("LRAP", "lrap"),
    ("Brier", "macro_brier"),
    ("ECE", "macro_ece"),
)
"""Column heads and the figures below them; averages over findings are macro unless they say micro."""


def runs_table(records: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """One row a run, one table for each test set, with the null rows that a network must beat."""
    tables: list[RenderableType] = []
    by_passport: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_passport.setdefault(record["passport"]["id"], []).append(record)
    for same in by_passport.values():
        table = _table(title(same[0]["passport"]["dataset"]), _caption(same[0]))
        for column in ("backbone", "loss", "calibrator", "thresholds", "seed", "tuned on"):
            # Folded where it is long: cut short, two runs' options would look alike.
            table.add_column(column, overflow="fold")
        for head, _ in _FIGURES:
            table.add_column(head, justify="right")
        for record in same:
            names = [_component(record, kind) for kind in ("backbone", "loss", "calibrator", "thresholds")]
            table.add_row(*names, str(record["seed"]), record["tune"], *_figures(record["metrics"]))
        table.add_section()
        for null in same[0]["null"]:
            table.add_row(_NULL_NAMES[null["name"]], *[""] * 5, *_figures(null["metrics"]), style="dim")
        tables.append(table)
    return tables


def run_details(record: Mapping[str, Any]) -> list[RenderableType]:
    """A run by finding, overall, by calibrator, and where its files are."""
    table = _table(title(record["passport"]["dataset"], record["run_id"]), "")
    for column in (
        "finding",
        "AUC",
        "AP",
        "F1",
        "precision",
        "recall",
        "threshold",
        "",
        "Brier",
        "ECE",
        "n+",
        "n−",
    ):
        table.add_column(column, justify="left" if column in ("finding", "") else "right")
    for row in record["per_finding"]:
        figures = (row[name] for name in ("auc", "ap", "f1", "precision", "recall"))
        table.add_row(
            row["finding"].replace("_", " "),
            *map(_number, figures),
            _number(row["threshold"], 2),
            "" if row["feasible"] else "not feasible",
            _number(row["brier"]),
            _number(row["ece"]),
            str(row["n_pos"]),
            str(row["n_neg"]),
        )
    reasons = [
        f"{r['finding'].replace('_', ' ')}: {r['reason']}" for r in record["per_finding"] if r["reason"]
    ]
    return [table, *map(Text, reasons), *runs_table([record]), _calibration(record), _files(record)]


def plan_table(plans: Sequence[Plan], trainings: int, disk: int) -> list[RenderableType]:
    """What each run would do, and all of them together."""
    table = _table("what would be done", "")
    for column in ("backbone", "loss", "calibrator", "thresholds", "seed", "network", "reused", "to do"):
        table.add_column(column)
    for plan in plans:
        spec = plan.spec
        uses = [str(spec.use(kind).name) for kind in ("backbone", "loss", "calibrator", "thresholds")]
        reused = [stage for stage, _, done in plan.steps if done]
        waiting = [stage for stage, _, done in plan.steps if not done] if plan.steps else ["everything"]
        network = "trained" if plan.trains else "reused"
        table.add_row(*uses, str(spec.seed), network, _stages(reused), _stages(waiting))
    lines = [
        f"{trainings} network{'' if trainings == 1 else 's'} to train; up to {disk / 1e6:,.0f} MB of disk"
    ]
    unread = max((plan.unread for plan in plans), default=0)
    if unread:
        lines.append(f"{unread:,} image files would be read first; what they hold decides what can be reused")
    return [table, *lines]


def _stages(stages: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(stages)) or "–"


def _table(title: str, caption: str) -> Table:
    return Table(
        title=Text(title),
        caption=Text(caption) if caption else None,
        title_justify="left",
        caption_justify="left",
        title_style="bold",
        header_style="bold",
        box=None,
        pad_edge=False,
    )


def title(dataset: str, run_id: str = "") -> str:
    """How a table or figure names its data; drawn images are plainly said to be drawn."""
    name = "phantom (drawn images, not patients)" if dataset == "phantom" else dataset
    return f"{name}: {run_id}" if run_id else name


def _caption(record: Mapping[str, Any]) -> str:
    passport = record["passport"]
    shared = {pair: count for pair, count in passport["shared_patients"].items() if count}
    leak = f"; PATIENTS SHARED: {shared}" if shared else ""
    covered, findings = record["metrics"]["auc_findings"], len(record["per_finding"])
    few = (
        "" if covered == findings else f"; AUC and AP of {covered} of {findings} (the others have one class)"
    )
    return (
        f"test: {passport['images']['test']:,} images of {passport['patients']['test']:,} patients; labels "
        f"{passport['label_version']}; passport {passport['id']}{leak}. "
        f"Averages over findings are macro{few}."
    )


def _component(record: Mapping[str, Any], kind: str) -> str:
    options = ",".join(f"{key}={value}" for key, value in record["options"][kind].items())
    return f"{record[kind]}:{options}" if options else str(record[kind])


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    return [_number(metrics[name]) for _, name in _FIGURES]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _calibration(record: Mapping[str, Any]) -> Table:
    table = _table("what calibrating does on test (macro)", "")
    for column in ("calibrator", "ECE", "Brier", ""):
        table.add_column(column)
    for name, figures in record["calibration"].items():
        used = "used for decisions" if name == record["calibrator"] else ""
        table.add_row(name, _number(figures["macro_ece"]), _number(figures["macro_brier"]), used)
    return table


def _files(record: Mapping[str, Any]) -> Text:
    passport = record["passport"]
    return Text(
        f"network: {record['parameters']:,} parameters, trained in {record['training_seconds']:.0f} s; "
        f"thresholds fitted on {record['tune']} ({passport['images'][record['tune']]:,} images)\n"
        f"run:     {record['path']}\n"
        "Not for clinical use."
    )
