"""Evaluate: what a run's probabilities and decisions are worth on test."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.files import write_json
from cxrbench.findings import NO_FINDING
from cxrbench.interfaces import DecisionRule, OperatingPoint
from cxrbench.matrices import read_matrix, write_matrix
from cxrbench.statistics.averages import covered, macro, micro_auc, micro_average_precision, weighted
from cxrbench.statistics.calibration import brier, expected_calibration_error
from cxrbench.statistics.decisions import (
    accuracy,
    balanced_accuracy,
    confusion,
    exact_match,
    f1,
    false_no_finding_rate,
    hamming_loss,
    precision,
    recall,
    specificity,
    whole_images,
)
from cxrbench.statistics.ranking import (
    auc,
    average_precision,
    label_ranking_average_precision,
    roc_curve,
)
from cxrbench.statistics.single_label import accuracy as share_right
from cxrbench.statistics.single_label import confusion_matrix
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "2"
"""Changes when the same probabilities, thresholds and labels give other figures."""

_CURVE_POINTS = 256


def run(
    folder: Path,
    task: Task,
    image_ids: pd.Index[str],
    labels: FloatArray,
    rule: DecisionRule,
    probabilities: FloatArray,
    points: Mapping[str, OperatingPoint],
    calibrated: Mapping[str, FloatArray],
    fitted: Mapping[str, int],
    tune_labels: FloatArray,
) -> None:
    """Evaluate on test.

    Args:
        folder: gets ``metrics.json``, ``per_finding.csv``, ``calibration.csv``, ``roc.csv`` and
            ``probabilities.parquet`` and ``decisions.parquet`` (of the test images, without labels); where
            exactly one class is right also ``confusion_matrix.csv``.
        task: classes and decision.
        image_ids: ``[n]`` of test.
        labels: ``[n, c]`` of test.
        rule: what becomes of decisions.
        probabilities: ``[n, c]``, what decisions are made from.
        points: the operating point of each class.
        calibrated: probabilities ``[n, c]`` by calibrator, ``none`` being the raw ones.
        fitted: for how many classes each calibrator had enough labels to be fitted.
        tune_labels: ``[m, c]``, whose prevalence the null row predicts.
    """
    thresholds = np.array([points[name].threshold for name in task.classes])
    decisions = rule.decide(task.decide(probabilities, thresholds), probabilities, task.classes)
    table = per_finding(task, labels, probabilities, decisions)
    table.insert(1, "threshold", thresholds)
    table.insert(2, "feasible", [points[name].feasible for name in task.classes])
    table.insert(3, "reason", [points[name].reason for name in task.classes])
    table.to_csv(folder / "per_finding.csv", index=False)
    scores = pd.DataFrame(probabilities, index=image_ids, columns=list(task.classes))
    write_matrix(scores, folder / "probabilities.parquet")
    called = pd.DataFrame(decisions, index=image_ids, columns=list(task.classes))
    write_matrix(called, folder / "decisions.parquet")
    if task.kind == "singlelabel":
        matrix = confusion_matrix(decisions, labels)
        pd.DataFrame(matrix, list(task.classes), list(task.classes)).to_csv(
            folder / "confusion_matrix.csv", index_label="truth"
        )
    calibration = calibration_table(task, labels, calibrated)
    calibration.to_csv(folder / "calibration.csv", index=False)
    roc_table(task, labels, probabilities).to_csv(folder / "roc.csv", index=False)
    write_json(
        folder / "metrics.json",
        {
            "metrics": overall(task, labels, probabilities, decisions),
            "per_finding": table.to_dict("records"),
            "null": null_rows(task, labels, tune_labels),
            "calibration": {
                name: {
                    "macro_ece": macro(rows["ece"].to_numpy()),
                    "macro_brier": macro(rows["brier"].to_numpy()),
                    "fitted": fitted[name],
                }
                for name, rows in ((n, calibration[calibration["calibrator"] == n]) for n in calibrated)
            },
        },
    )


def overall(
    task: Task, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray
) -> dict[str, float]:
    """Every figure over all findings; averages leave out undefined ones, ``*_findings`` counts the rest.

    Accuracy is the share of decisions that are right; where exactly one class is right, of images. All other
    figures are of each class against the rest then.
    """
    positives = (labels == 1).sum(axis=0).astype(np.float64)
    each = confusion(decisions, labels)
    total = each.pooled()
    aucs, aps, f1s = auc(probabilities, labels), average_precision(probabilities, labels), f1(each)
    return {
        "macro_auc": macro(aucs),
        "micro_auc": micro_auc(probabilities, labels),
        "weighted_auc": weighted(aucs, positives),
        "macro_ap": macro(aps),
        "micro_ap": micro_average_precision(probabilities, labels),
        "weighted_ap": weighted(aps, positives),
        "macro_f1": macro(f1s),
        "micro_f1": float(f1(total)[0]),
        "weighted_f1": weighted(f1s, positives),
        "macro_precision": macro(precision(each)),
        "micro_precision": float(precision(total)[0]),
        "macro_recall": macro(recall(each)),
        "micro_recall": float(recall(total)[0]),
        "macro_specificity": macro(specificity(each)),
        "exact_match": exact_match(decisions, labels),
        "hamming_loss": hamming_loss(decisions, labels),
        "accuracy": (
            float(accuracy(total)[0])
            if task.kind == "multilabel"
            else share_right(confusion_matrix(decisions, labels))
        ),
        "auc_binarized": macro(balanced_accuracy(each)),
        "fnfr": _false_no_finding_rate(task, labels, decisions),
        "lrap": label_ranking_average_precision(probabilities, labels),
        "macro_brier": macro(brier(probabilities, labels)),
        "macro_ece": macro(expected_calibration_error(probabilities, labels)),
        "auc_findings": covered(aucs),
        "f1_findings": covered(f1s),
        "decided_findings": int((~np.isnan(decisions).all(axis=0)).sum()),
        "images": len(labels),
        "exact_match_images": whole_images(decisions, labels),
    }


def _false_no_finding_rate(task: Task, labels: FloatArray, decisions: FloatArray) -> float:
    """Undefined where exactly one class is right and none of them is "No Finding"."""
    if NO_FINDING in task.classes:
        return false_no_finding_rate(decisions, labels, task.classes.index(NO_FINDING))
    return false_no_finding_rate(decisions, labels) if task.kind == "multilabel" else float("nan")


def per_finding(
    task: Task, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray
) -> pd.DataFrame:
    """One row a finding; counts are of images whose label is known and whose decision is made."""
    counts = confusion(decisions, labels)
    return pd.DataFrame(
        {
            "finding": task.classes,
            "auc": auc(probabilities, labels),
            "auc_binarized": balanced_accuracy(counts),
            "ap": average_precision(probabilities, labels),
            "f1": f1(counts),
            "precision": precision(counts),
            "recall": recall(counts),
            "specificity": specificity(counts),
            "accuracy": accuracy(counts),
            "brier": brier(probabilities, labels),
            "ece": expected_calibration_error(probabilities, labels),
            "n_pos": (labels == 1).sum(axis=0),
            "n_neg": (labels == 0).sum(axis=0),
            "n_unknown": np.isnan(labels).sum(axis=0),
            "tp": counts.tp,
            "fp": counts.fp,
            "tn": counts.tn,
            "fn": counts.fn,
        }
    )


def calibration_table(task: Task, labels: FloatArray, calibrated: Mapping[str, FloatArray]) -> pd.DataFrame:
    """ECE and Brier score of each finding, raw and after each calibrator."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "calibrator": name,
                    "finding": task.classes,
                    "ece": expected_calibration_error(probabilities, labels),
                    "brier": brier(probabilities, labels),
                }
            )
            for name, probabilities in calibrated.items()
        ],
        ignore_index=True,
    )


def null_rows(task: Task, labels: FloatArray, tune_labels: FloatArray) -> list[dict[str, Any]]:
    """What a network must beat: each image scored with tune's prevalence, and no finding scored or called.

    The first makes no decisions; figures that need them are NaN. Where exactly one class is right, there is
    one row instead: the same scores, and tune's most frequent class called.
    """
    with np.errstate(invalid="ignore"):
        prevalence = (tune_labels == 1).sum(axis=0) / (~np.isnan(tune_labels)).sum(axis=0)
    scores = np.broadcast_to(prevalence, labels.shape)
    if task.kind == "singlelabel":
        most_frequent = task.decide(np.nan_to_num(scores, nan=0.0), None)
        return [{"name": "most_frequent", "metrics": overall(task, labels, scores, most_frequent)}]
    undecided, never = np.full_like(labels, np.nan), np.zeros_like(labels)
    return [
        {"name": "prevalence", "metrics": overall(task, labels, scores, undecided)},
        {"name": "always_negative", "metrics": overall(task, labels, never, never)},
    ]


def roc_table(task: Task, labels: FloatArray, probabilities: FloatArray) -> pd.DataFrame:
    """ROC curves, long, at most 256 points each, at even steps along the curve."""
    tables = []
    for column, name in enumerate(task.classes):
        fpr, tpr, thresholds = roc_curve(probabilities[:, column], labels[:, column])
        steps = np.linspace(0, len(fpr) - 1, min(len(fpr), _CURVE_POINTS))
        chosen = np.unique(steps.round().astype(int))
        tables.append(
            pd.DataFrame(
                {"finding": name, "fpr": fpr[chosen], "tpr": tpr[chosen], "threshold": thresholds[chosen]}
            )
        )
    return pd.concat(tables, ignore_index=True)


def read_probabilities(folder: Path) -> FloatArray:
    """The probabilities ``[n, c]`` that decisions are made from, in the order of test's image ids."""
    return read_matrix(folder / "probabilities.parquet")


def read_decisions(folder: Path) -> FloatArray:
    """The decisions ``[n, c]``, in the same order."""
    return read_matrix(folder / "decisions.parquet")
