"""The figures of a test set: of each finding, over all findings, and of systems that know nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.findings import NO_FINDING
from cxrbench.statistics.averages import covered, macro, micro_auc, micro_average_precision, weighted
from cxrbench.statistics.calibration import (
    adaptive_calibration_error,
    brier,
    brier_parts,
    expected_calibration_error,
    maximum_calibration_error,
)
from cxrbench.statistics.decisions import (
    accuracy,
    balanced_accuracy,
    confusion,
    exact_match,
    f1,
    hamming_loss,
    mcc,
    net_benefit,
    passed_as_healthy,
    precision,
    recall,
    specificity,
    whole_images,
)
from cxrbench.statistics.ranking import (
    auc,
    average_precision,
    coverage_error,
    label_ranking_average_precision,
    partial_auc,
    sensitivity_at_specificity,
)
from cxrbench.statistics.single_label import accuracy as share_right
from cxrbench.statistics.single_label import confusion_matrix
from cxrbench.statistics.sweep import sweep_scores
from cxrbench.statistics.undefined import mean_defined

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray
    from cxrbench.task import Task

MAX_FPR = 0.1
"""Up to which false positive rate the partial AUC looks."""

AVERAGED = (
    "auc",
    "ap",
    "partial_auc",
    "sens_at_spec90",
    "sens_at_spec95",
    "f1",
    "precision",
    "recall",
    "specificity",
    "mcc",
    "net_benefit",
    "brier",
    "brier_reliability",
    "brier_resolution",
    "brier_uncertainty",
    "ece",
    "ece_adaptive",
    "mce",
)
"""Columns of :func:`per_finding` whose mean over findings is a figure ``macro_…``."""


def per_finding(
    task: Task,
    labels: FloatArray,
    probabilities: FloatArray,
    decisions: FloatArray,
    thresholds: FloatArray | None = None,
) -> pd.DataFrame:
    """One row a finding; counts are of images whose label is known and whose decision is made.

    Net benefit is that of the decisions at ``thresholds`` ``[c]``; NaN without them, or at one of 1 or more.
    """
    counts = confusion(decisions, labels)
    parts, swept = brier_parts(probabilities, labels), sweep_scores(probabilities, labels)
    at = np.full(len(task.classes), np.nan) if thresholds is None else thresholds
    return pd.DataFrame(
        {
            "finding": task.classes,
            "auc": auc(probabilities, labels, swept=swept),
            "auc_binarized": balanced_accuracy(counts),
            "partial_auc": partial_auc(probabilities, labels, MAX_FPR, swept=swept),
            "sens_at_spec90": sensitivity_at_specificity(probabilities, labels, 0.9, swept=swept),
            "sens_at_spec95": sensitivity_at_specificity(probabilities, labels, 0.95, swept=swept),
            "ap": average_precision(probabilities, labels, swept=swept),
            "f1": f1(counts),
            "precision": precision(counts),
            "recall": recall(counts),
            "specificity": specificity(counts),
            "accuracy": accuracy(counts),
            "mcc": mcc(counts),
            "net_benefit": net_benefit(counts, np.where((at >= 0) & (at < 1), at, np.nan)),
            "brier": brier(probabilities, labels),
            "brier_reliability": parts.reliability,
            "brier_resolution": parts.generalised_resolution,
            "brier_uncertainty": parts.uncertainty,
            "ece": expected_calibration_error(probabilities, labels),
            "ece_adaptive": adaptive_calibration_error(probabilities, labels),
            "mce": maximum_calibration_error(probabilities, labels),
            "n_pos": (labels == 1).sum(axis=0),
            "n_neg": (labels == 0).sum(axis=0),
            "n_unknown": np.isnan(labels).sum(axis=0),
            "tp": counts.tp,
            "fp": counts.fp,
            "tn": counts.tn,
            "fn": counts.fn,
        }
    )


def overall(
    task: Task,
    labels: FloatArray,
    probabilities: FloatArray,
    decisions: FloatArray,
    each: pd.DataFrame | None = None,
) -> dict[str, float]:
    """Every figure over all findings; averages leave out undefined ones, ``*_findings`` counts the rest.

    Accuracy is the share of decisions that are right; where exactly one class is right, of images. All other
    figures are of each class against the rest then. ``each`` is :func:`per_finding` of the same, if it is
    at hand.
    """
    each = per_finding(task, labels, probabilities, decisions) if each is None else each
    column = {name: each[name].to_numpy(np.float64) for name in (*AVERAGED, "auc_binarized", "n_pos")}
    positives, total = column["n_pos"], confusion(decisions, labels).pooled()
    return {
        **{f"macro_{name}": macro(column[name]) for name in AVERAGED},
        **{f"weighted_{name}": weighted(column[name], positives) for name in ("auc", "ap", "f1")},
        "micro_auc": micro_auc(probabilities, labels),
        "micro_ap": micro_average_precision(probabilities, labels),
        "micro_f1": float(f1(total)[0]),
        "micro_precision": float(precision(total)[0]),
        "micro_recall": float(recall(total)[0]),
        "auc_binarized": macro(column["auc_binarized"]),
        "exact_match": exact_match(decisions, labels),
        "hamming_loss": hamming_loss(decisions, labels),
        "accuracy": (
            float(accuracy(total)[0])
            if task.kind == "multilabel"
            else share_right(confusion_matrix(decisions, labels))
        ),
        "fnfr": mean_defined(missed_images(task, decisions, labels)),
        "lrap": label_ranking_average_precision(probabilities, labels),
        "coverage_error": coverage_error(probabilities, labels),
        "auc_findings": covered(column["auc"]),
        "f1_findings": covered(column["f1"]),
        "decided_findings": int((~np.isnan(decisions).all(axis=0)).sum()),
        "images": len(labels),
        "exact_match_images": whole_images(decisions, labels),
    }


def missed_images(task: Task, decisions: FloatArray, labels: FloatArray) -> FloatArray:
    """Whether each image ``[n]`` with a finding is passed as having none; NaN for the others.

    Of all where exactly one class is right and none of them is "No Finding".
    """
    if NO_FINDING in task.classes:
        return passed_as_healthy(decisions, labels, task.classes.index(NO_FINDING))
    if task.kind == "multilabel":
        return passed_as_healthy(decisions, labels)
    return np.full(len(labels), np.nan)


def null_rows(task: Task, labels: FloatArray, tune_labels: FloatArray) -> list[dict[str, Any]]:
    """What a network must beat: each image scored with tune's prevalence, and no finding scored or called.

    The first makes no decisions; figures that need them are NaN. Where exactly one class is right, there is
    one row instead: the same scores, and tune's most frequent class called.
    """
    scores = np.broadcast_to(prevalence(tune_labels), labels.shape)
    if task.kind == "singlelabel":
        most_frequent = task.decide(np.nan_to_num(scores), None)
        return [{"name": "most_frequent", "metrics": overall(task, labels, scores, most_frequent)}]
    undecided, never = np.full_like(labels, np.nan), np.zeros_like(labels)
    return [
        {"name": "prevalence", "metrics": overall(task, labels, scores, undecided)},
        {"name": "always_negative", "metrics": overall(task, labels, never, never)},
    ]


def prevalence(labels: FloatArray) -> FloatArray:
    """The share of positives among known labels ``[n, c]``, NaN where none is known."""
    with np.errstate(invalid="ignore"):
        share: FloatArray = (labels == 1).sum(axis=0) / (~np.isnan(labels)).sum(axis=0)
    return share
