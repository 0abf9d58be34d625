"""What the page of one run shows: its figures, curves, decisions, training and groups of patients."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.evaluation.stored import Evaluation
from cxrbench.leaderboard.columns import Metric, metrics_with
from cxrbench.leaderboard.entries import defined
from cxrbench.leaderboard.ranking import NULL_NAMES
from cxrbench.report.ensemble_section import section_of_run
from cxrbench.report.heatmap_kept import kept_heatmaps
from cxrbench.report.latency_section import latency_section
from cxrbench.report.leaderboard_words import DASH, cost, counted, prior_shift_told
from cxrbench.report.names import data_of, system
from cxrbench.report.page.charts import Chart, bar
from cxrbench.report.page.paths import UNIT, Scale, dots, line, scale_of, tick, up_to
from cxrbench.report.plugin_sections import plugin_sections

if TYPE_CHECKING:
    from cxrbench.leaderboard.asked import Asked
    from cxrbench.store import Store

_GROUPS = {"sex": "sex", "age": "age", "view": "view", "images": "images of the patient"}


@dataclass(frozen=True, slots=True)
class Crossed:
    """What was called, by what is present.

    Attributes:
        caption: what the cells say.
        names: of the columns: what was called.
        rows: what is present, how many images of it there are, and the cells: what stands there, and how
            dark it is in tenths.
    """

    caption: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[tuple[str, int], ...]], ...]


def run_context(
    store: Store, record: Mapping[str, Any], anchor: str, asked: Sequence[Asked] = ()
) -> dict[str, Any]:
    """What the template ``run.html.j2`` is given.

    Args:
        store: where the run's evaluation lies.
        record: its ``run.json``, with ``path``.
        anchor: of the board that the run stands on.
        asked: metrics that are shown beside those of every run.
    """
    if asked:
        from cxrbench.leaderboard.asked import figures_of, with_figures

        record = with_figures(record, figures_of(store, record, asked))
    shown_metrics = metrics_with(each.column for each in asked)
    evaluation = Evaluation.of(store.root, record)
    curves = _curves(evaluation)
    intervals = record.get("intervals") or {"metrics": {}, "per_finding": []}
    of_findings = {row["finding"]: row for row in intervals["per_finding"]}
    findings = [_finding(row, of_findings.get(row["finding"], {})) for row in record["per_finding"]]
    ends = [row[end] for row in findings for end in ("auc", "auc_low", "auc_high")]
    scale = scale_of([*ends, 0.5])
    for row in findings:
        row["bar"] = bar(row["auc"], row["auc_low"], row["auc_high"], scale)
    return {
        "id": record["run_id"],
        "back": anchor,
        "title": system(record),
        "data": data_of(record),
        "facts": _facts(record),
        "sanity": [check["reason"] for check in record.get("sanity") or ()],
        "checked": "sanity" in record,
        "nonconforming": record.get("nonconforming", ()),
        "metrics": _metrics(record, intervals["metrics"], shown_metrics),
        "metric_columns": [
            ("figure", "name", "text"),
            ("this run", "value", 3),
            ("from", "low", 3),
            ("to", "high", 3),
            *((NULL_NAMES.get(null["name"], null["name"]), null["name"], 3) for null in record["null"]),
        ],
        "findings": findings,
        "scale": (tick(scale.low), tick(scale.high), scale.place(0.5)),
        "drawn": [
            _charts(row, curves[row["finding"]]) for row in record["per_finding"] if row["finding"] in curves
        ],
        "confusion": [_confusion(row) for row in record["per_finding"]],
        "crossed": None if evaluation is None else _crossed(evaluation, record),
        "training": _training(Path(record["path"])),
        "ensemble": section_of_run(record),
        "heatmaps": kept_heatmaps(store, record),
        "latency": latency_section(store, record),
        "calibration": _calibration(record),
        "prior_shift": prior_shift_told(record),
        "subgroups": _subgroups(record.get("subgroups") or ()),
        "optimism": _optimism(record.get("optimism") or {}),
        "added": plugin_sections(store, record),
    }


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [("run", record["run_id"]), ("seed", str(record.get("seed", "–")))]
    for name in ("parameters", "flops", "training_seconds"):
        if record.get(name) is not None:
            facts.append((name.split("_")[0], cost(name, record[name])))
    made = {"scored": "predictions of others", "ensemble": "an ensemble"}
    source = record.get("source")
    return [*facts, *([("from", made[source])] if source in made else []), ("made", record["created"][:10])]


def _metrics(
    record: Mapping[str, Any],
    intervals: Mapping[str, Mapping[str, float | None]],
    metrics: Mapping[str, Metric],
) -> list[dict[str, Any]]:
    rows = []
    for name, metric in metrics.items():
        if record["metrics"].get(name) is not None:
            ends = intervals.get(name, {})
            heading = f"{metric.heading} (smaller is better)" if metric.smaller else metric.heading
            rows.append(
                {
                    "name": heading,
                    "value": record["metrics"][name],
                    "low": ends.get("low"),
                    "high": ends.get("high"),
                    **{null["name"]: null["metrics"].get(name) for null in record["null"]},
                }
            )
    return rows


def _finding(row: Mapping[str, Any], ends: Mapping[str, Any]) -> dict[str, Any]:
    auc = ends.get("auc") or {}
    return {
        **{name: row.get(name) for name in ("ap", "f1", "precision", "recall", "specificity", "threshold")},
        **{name: row.get(name) for name in ("brier", "ece", "n_pos")},
        "finding": shown(row["finding"]),
        "auc": defined(row["auc"]),
        "auc_low": defined(auc.get("low")),
        "auc_high": defined(auc.get("high")),
        "feasible": row["feasible"],
    }


def _charts(row: Mapping[str, Any], curves: Mapping[str, Any]) -> dict[str, Any]:
    """The charts of one finding; those are left out that are not defined."""
    name = shown(row["finding"])
    charts = []
    if curves.get("roc"):
        charts += [_roc(name, row, curves["roc"]), _pr(name, row, curves["pr"])]
    if curves.get("reliability") and curves["reliability"]["count"]:
        charts.append(_reliability(name, curves["reliability"]))
    if curves.get("thresholds"):
        charts += [_thresholds(name, row, curves["thresholds"]), _decision(name, row, curves["decision"])]
    return {"finding": name, "auc": row["auc"], "ap": row["ap"], "n_pos": row["n_pos"], "charts": charts}


def _roc(name: str, row: Mapping[str, Any], curve: Mapping[str, Any]) -> Chart:
    point = dots([_less(1, row["specificity"])], [row["recall"]], UNIT, UNIT)
    return Chart(
        "roc",
        f"ROC curve of {name}, AUC {tick(defined(row['auc']))}",
        {"main": line(curve["fpr"], curve["tpr"])},
        dots=tuple((x, y, 2) for x, y in point),
    )


def _pr(name: str, row: Mapping[str, Any], curve: Mapping[str, Any]) -> Chart:
    point = dots([row["recall"]], [row["precision"]], UNIT, UNIT)
    known = row["n_pos"] + row["n_neg"]
    return Chart(
        "pr",
        f"Precision against recall of {name}, AP {tick(defined(row['ap']))}",
        {"main": line(curve["recall"], curve["precision"])},
        dots=tuple((x, y, 2) for x, y in point),
        rule=UNIT.place(row["n_pos"] / known) if known else None,
    )


def _reliability(name: str, bins: Mapping[str, Any]) -> Chart:
    scale = up_to([*bins["probability"], *bins["rate"]])
    places = dots(bins["probability"], bins["rate"], scale, scale)
    most = max(bins["count"])
    sizes = [min(3, int(3 * math.sqrt(count / most) + 0.5)) for count in bins["count"]]
    return Chart(
        "reliability",
        f"Observed rate against mean probability of {name} in {counted(len(sizes), 'bin')}",
        {},
        ends=("0", tick(scale.high), "0", tick(scale.high)),
        dots=tuple((x, y, size) for (x, y), size in zip(places, sizes, strict=True)),
        bands=tuple(
            (scale.place(x), scale.place(low), scale.place(high))
            for x, low, high in zip(bins["probability"], bins["low"], bins["high"], strict=True)
            if low is not None and high is not None
        ),
    )


def _thresholds(name: str, row: Mapping[str, Any], curve: Mapping[str, Any]) -> Chart:
    scale = up_to(curve["threshold"])
    chosen = defined(row["threshold"])
    return Chart(
        "thresholds",
        f"Precision, recall and F1 of {name} against the threshold, of which {tick(chosen)} was chosen",
        {
            look: line(curve["threshold"], curve[figure], scale)
            for look, figure in (("second", "precision"), ("third", "recall"), ("main", "f1"))
        },
        ends=("0", tick(scale.high), "0", "1"),
        at=None if math.isnan(chosen) else scale.place(chosen),
    )


def _decision(name: str, row: Mapping[str, Any], curve: Mapping[str, Any]) -> Chart:
    scale = up_to(curve["threshold"])
    up = Scale(0.0, up_to(curve["net_benefit"]).high)
    chosen = defined(row["threshold"])
    # Calling everyone positive falls below 0 soon; what is drawn ends there.
    calling = [None if value is None or value < 0 else value for value in curve["of_calling_all"]]
    return Chart(
        "decision",
        f"Net benefit of {name} against the threshold probability, and that of calling every image",
        {
            "faint": line(curve["threshold"], calling, scale, up),
            "main": line(curve["threshold"], curve["net_benefit"], scale, up),
        },
        ends=("0", tick(scale.high), "0", tick(up.high)),
        at=None if math.isnan(chosen) else scale.place(chosen),
    )


def _confusion(row: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a finding's decisions, and which share of its row each is, in tenths."""
    present, absent = row["tp"] + row["fn"], row["tn"] + row["fp"]
    return {
        "finding": shown(row["finding"]),
        "cells": [
            (
                row[name],
                row[name] / among if among else math.nan,
                _tenths(row[name], among),
            )
            for name, among in (("tp", present), ("fn", present), ("fp", absent), ("tn", absent))
        ],
    }


def _crossed(evaluation: Evaluation, record: Mapping[str, Any]) -> Crossed | None:
    """The confusion matrix; of a multi-label task how often each finding is called where each is present."""
    if (matrix := evaluation.confusion_matrix) is not None:
        return Crossed(
            "Images by true class (rows) and called class (columns); shaded by the share of the row",
            tuple(map(shown, matrix.columns)),
            tuple(
                (shown(str(truth)), sum(counts), tuple((f"{n:,}", _tenths(n, sum(counts))) for n in counts))
                for truth, counts in zip(matrix.index, matrix.to_numpy().tolist(), strict=True)
            ),
        )
    if (pairs := evaluation.confusion) is None:
        return None
    findings = {row["finding"]: row for row in record["per_finding"]}
    rows = [
        (shown(str(finding)), int(findings[str(finding)]["n_pos"]), tuple(map(_called, of.both, of.among)))
        for finding, of in pairs.groupby("finding", sort=False)
    ]
    called = [row["tp"] + row["fp"] for row in findings.values()]
    known = [row["n_pos"] + row["n_neg"] for row in findings.values()]
    everything = ("all images", max(known), tuple(map(_called, called, known)))
    return Crossed(
        "Of the images with the row's finding, how many percent have the column's called, rightly or not; "
        "the diagonal is recall",
        tuple(map(shown, findings)),
        (*rows, everything),
    )


def _called(count: int, among: int) -> tuple[str, int]:
    return (f"{100 * count / among:.0f}", _tenths(count, among)) if among else (DASH, 0)


def _tenths(count: int, among: int) -> int:
    return round(10 * count / among) if among else 0


def _training(folder: Path) -> list[Chart]:
    """Loss and macro AUC by epoch; none where nothing was trained here."""
    path = folder / "epochs.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return []
    epochs = [float(place) for place in range(1, len(rows) + 1)]
    of = {
        name: [float(row[name]) if row.get(name) else math.nan for row in rows]
        for name in ("train_loss", "val_loss", "macro_auc")
    }
    across = Scale(1.0, max(len(rows), 2))
    # Each epoch that was the best so far says so; the last of them was kept.
    best = [epoch for epoch, row in zip(epochs, rows, strict=True) if row.get("best") == "True"]
    at = across.place(best[-1]) if best else None
    loss, auc = scale_of([*of["train_loss"], *of["val_loss"]]), scale_of(of["macro_auc"])
    ends = ("1", str(len(rows)))
    return [
        Chart(
            "loss",
            f"Loss on train and val over {counted(len(rows), 'epoch')}",
            {
                "second": line(epochs, of["train_loss"], across, loss),
                "main": line(epochs, of["val_loss"], across, loss),
            },
            ends=(*ends, tick(loss.low), tick(loss.high)),
            at=at,
        ),
        Chart(
            "auc",
            f"Macro AUC on val over {counted(len(rows), 'epoch')}",
            {"main": line(epochs, of["macro_auc"], across, auc)},
            ends=(*ends, tick(auc.low), tick(auc.high)),
            at=at,
        ),
    ]


def _calibration(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "calibrator": f"{name} (used)" if name == record["calibrator"] else name,
            "ece": figures["macro_ece"],
            "brier": figures["macro_brier"],
            "fitted": figures.get("fitted"),
        }
        for name, figures in record["calibration"].items()
        # Those that were fitted for no finding change nothing.
        if name in ("none", record["calibrator"]) or figures.get("fitted") != 0
    ]


def _subgroups(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The gaps of each group to the other images, with a bar each for AUC, TPR and FPR."""
    if not rows:
        return None
    shown_rows = []
    ends = [row.get(f"auc_gap{end}") for row in rows for end in ("", "_low", "_high")]
    scale = scale_of([*ends, 0.0], least=0.02)
    for row in rows:
        figures = {
            f"{name}{end}": row.get(f"{name}{end}")
            for name in ("auc", "tpr", "fpr", "ece")
            for end in ("", "_gap", "_gap_low", "_gap_high")
        }
        shown_rows.append(
            {
                **figures,
                "group": f"{_GROUPS.get(row['attribute'], row['attribute'])}: {row['group']}",
                "images": row["images"],
                "patients": row["patients"],
                "withheld": row["withheld"],
                "bar": bar(
                    defined(row.get("auc_gap")),
                    defined(row.get("auc_gap_low")),
                    defined(row.get("auc_gap_high")),
                    scale,
                ),
            }
        )
    return {"rows": shown_rows, "scale": (tick(scale.low), tick(scale.high), scale.place(0.0))}


def _optimism(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = {
        "auc": "AUC",
        "f1": "F1",
        "precision": "precision",
        "recall": "recall",
        "specificity": "specificity",
        "auc_binarized": "balanced accuracy",
        "mcc": "MCC",
        "prevalence": "prevalence",
    }
    return [
        {
            "figure": heading,
            "tune": found["tune"].get(name),
            "test": found["test"].get(name),
            "difference": found["optimism"].get(name),
        }
        for name, heading in names.items()
        # Null where nothing was fitted.
        if found and found["tune"].get(name) is not None
    ]


def _curves(evaluation: Evaluation | None) -> dict[str, Mapping[str, Any]]:
    """By finding; none where an older cxrbench evaluated the run."""
    return {} if evaluation is None else {row["finding"]: row for row in evaluation.curves["findings"]}


def _less(whole: float, value: float | None) -> float | None:
    return None if value is None else whole - value


def shown(finding: str) -> str:
    """A finding's name as people write it."""
    return finding.replace("_", " ")
