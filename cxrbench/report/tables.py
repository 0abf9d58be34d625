"""Runs as tables for the terminal. What is undefined is shown as a dash, never as 0."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from cxrbench.options import Use

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.plan import Plan

_NULL_NAMES = {"prevalence": "always the prevalence", "always_negative": "always negative"}

_FIGURES = (
    ("AUC", "macro_auc"),
    ("AP", "macro_ap"),
    ("F1", "macro_f1"),
    ("exact", "exact_match"),
    ("Hamming", "hamming_loss"),
    ("LRAP", "lrap"),
    ("Brier", "macro_brier"),
    ("ECE", "macro_ece"),
)
"""Column heads and the figures below them; averages over findings are macro."""

_INFEASIBLE = "* not feasible: the strategy's constraint cannot be met on the role it is fitted on"

_MORE_FIGURES = (
    ("micro AUC", "micro_auc"),
    ("micro F1", "micro_f1"),
    ("weighted AUC", "weighted_auc"),
    ("weighted F1", "weighted_f1"),
    ("precision", "macro_precision"),
    ("recall", "macro_recall"),
    ("accuracy", "accuracy"),
)
"""What a run's own page shows besides."""


def runs_table(records: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    """One row a run, one table for each test set, with the null rows that a network must beat.

    A run is named by the end of its id, which ``cxrbench show`` takes, and by what sets it apart.
    """
    tables: list[RenderableType] = []
    by_passport: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        by_passport.setdefault(record["passport"]["id"], []).append(record)
    for same in by_passport.values():
        table = _table()
        table.add_column("run", no_wrap=True)
        # Folded where it is long: cut short, two runs would look alike.
        table.add_column("system", overflow="fold")
        for head in (*(head for head, _ in _FIGURES), "feasible"):
            table.add_column(head, justify="right", no_wrap=True, min_width=len(head))
        differing = _differing_settings(same)
        for record in same:
            system = ", ".join([_system(record), *(f"{k}={_settings(record)[k]}" for k in differing)])
            table.add_row(record["run_id"][-8:], system, *_figures(record["metrics"]), _feasible(record))
        table.add_section()
        for null in same[0]["null"]:
            table.add_row("", _NULL_NAMES[null["name"]], *_figures(null["metrics"]), style="dim")
        tables += [_heading(title(same[0]["passport"]["dataset"])), table, Text(_caption(same[0]))]
    return tables


def run_details(record: Mapping[str, Any]) -> list[RenderableType]:
    """A run by finding, overall, by calibrator, and where its files are."""
    name = title(record["passport"]["dataset"])
    table = _table()
    table.add_column("finding", no_wrap=True)
    for column in ("AUC", "AP", "F1", "precision", "recall", "thresh.", "Brier", "ECE", "n+"):
        table.add_column(column, justify="right", no_wrap=True, min_width=5 if column != "n+" else None)
    for row in record["per_finding"]:
        figures = (row[figure] for figure in ("auc", "ap", "f1", "precision", "recall"))
        table.add_row(
            row["finding"].replace("_", " "),
            *map(_number, figures),
            _number(row["threshold"], 2) + (" " if row["feasible"] else "*"),
            _number(row["brier"]),
            _number(row["ece"]),
            str(row["n_pos"]),
        )
    reasons = [
        Text(f"{row['finding'].replace('_', ' ')}: {row['reason']}")
        for row in record["per_finding"]
        if row["reason"]
    ]
    missed = [] if all(row["feasible"] for row in record["per_finding"]) else [Text(_INFEASIBLE)]
    parts = (
        [_heading(f"{name}: {_system(record)}"), table, *missed, *reasons],
        [_heading(f"{name}: all findings"), _overview(record), Text(_caption(record))],
        [_heading(f"{name}: what calibrating does on test (macro)"), _calibration(record)],
        [_files(record)],
    )
    return [renderable for part in parts for renderable in (*part, Text())][:-1]


def _overview(record: Mapping[str, Any]) -> Table:
    """The figures over all findings, one a row, beside those of the null systems."""
    table = _table()
    table.add_column("")
    for column in ("this run", *(_NULL_NAMES[null["name"]] for null in record["null"])):
        table.add_column(column, justify="right")
    for head, figure in (*_FIGURES, *_MORE_FIGURES):
        values = [record["metrics"], *(null["metrics"] for null in record["null"])]
        table.add_row(head, *(_number(value[figure]) for value in values))
    return table


def _system(record: Mapping[str, Any]) -> str:
    """Components, with options that differ from their defaults, seed, and the role of fitting if unusual."""
    parts = [_component(record, kind) for kind in ("backbone", "loss", "calibrator", "thresholds")]
    tuned = [] if record["tune"] == "tune" else [f"fitted on {record['tune']}"]
    return ", ".join([*parts, f"seed {record['seed']}", *tuned])


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was told besides its components, seed and tune."""
    spec = record["spec"]
    own = {name: spec[name] for name in ("image_size", "weights", "min_positives")}
    return {**own, **spec["training"]}


def _differing_settings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    settings = [_settings(record) for record in records]
    return [name for name in settings[0] if len({str(each.get(name)) for each in settings}) > 1]


def _feasible(record: Mapping[str, Any]) -> str:
    rows = record["per_finding"]
    return f"{sum(row['feasible'] for row in rows)}/{len(rows)}"


def plan_table(plans: Sequence[Plan], trainings: int, disk: int) -> list[RenderableType]:
    """What each run would do, and all of them together."""
    table = _table()
    for column in ("run", "network", "reused", "to do"):
        table.add_column(column, overflow="fold")
    for plan in plans:
        reused = [stage for stage, _, done in plan.steps if done]
        waiting = [stage for stage, _, done in plan.steps if not done] if plan.steps else ["everything"]
        network = "trained" if plan.trains else "reused"
        table.add_row(_system(plan.record()), network, _stages(reused), _stages(waiting))
    lines = [
        f"{trainings} network{'' if trainings == 1 else 's'} to train; up to {disk / 1e6:,.0f} MB of disk"
    ]
    unread = max((plan.unread for plan in plans), default=0)
    if unread:
        lines.append(f"{unread:,} image files would be read first; what they hold decides what can be reused")
    return [_heading(f"{title(plans[0].spec.dataset.name)}: what would be done"), table, *lines]


def _stages(stages: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(stages)) or "–"


def _table() -> Table:
    return Table(header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))


def _heading(text: str) -> Text:
    # Not the table's own title, which would wrap at the table's width.
    return Text(text, style="bold")


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
    here, listed = sum(passport["images"].values()), sum(record.get("listed", {}).values())
    part = f"{here:,} of {listed:,} listed images; " if here < listed else ""
    test = f"{passport['images']['test']:,} images of {passport['patients']['test']:,} patients"
    return (
        f"{part}test: {test}; labels {passport['label_version']}; passport {passport['id']}{leak}. "
        f"Averages over findings are macro{few}."
    )


def _component(record: Mapping[str, Any], kind: str) -> str:
    return str(Use(name=record[kind], options=record["options"][kind]))


def _figures(metrics: Mapping[str, Any]) -> list[str]:
    return [_number(metrics[name]) for _, name in _FIGURES]


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _calibration(record: Mapping[str, Any]) -> Table:
    table = _table()
    for column in ("calibrator", "ECE", "Brier", "findings fitted", ""):
        table.add_column(column)
    for name, figures in record["calibration"].items():
        fitted = f"{figures['fitted']} of {len(record['per_finding'])}" if "fitted" in figures else "–"
        used = "used for decisions" if name == record["calibrator"] else ""
        table.add_row(name, _number(figures["macro_ece"]), _number(figures["macro_brier"]), fitted, used)
    return table


def _files(record: Mapping[str, Any]) -> Text:
    passport = record["passport"]
    return Text(
        f"network: {record['parameters']:,} parameters, trained in {record['training_seconds']:.0f} s; "
        f"thresholds fitted on {record['tune']} ({passport['images'][record['tune']]:,} images)\n"
        f"run:     {record['path']}\n"
        "Not for clinical use."
    )
