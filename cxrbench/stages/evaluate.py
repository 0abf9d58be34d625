"""Evaluate: what a run's probabilities and decisions are worth on test.

The figures themselves are in :mod:`cxrbench.evaluation`; this writes them down.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.canonical import canonical_json
from cxrbench.evaluation.calibration import (
    calibration_summary,
    calibration_table,
    prior_shift_summary,
    prior_shift_table,
)
from cxrbench.evaluation.cohort import Cohort
from cxrbench.evaluation.curves import curves, roc_table
from cxrbench.evaluation.figures import null_rows, overall, per_finding
from cxrbench.evaluation.optimism import optimism
from cxrbench.evaluation.pairs import confusion_table, cooccurrence_table
from cxrbench.evaluation.replicates import resample
from cxrbench.evaluation.sanity import check_outputs
from cxrbench.evaluation.subgroups import subgroups_summary, subgroups_table
from cxrbench.files import write_json, write_text
from cxrbench.interfaces import DecisionRule
from cxrbench.matrices import read_matrix, write_matrix
from cxrbench.stages.threshold import Point
from cxrbench.statistics.single_label import confusion_matrix

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "3"
"""Changes when the same probabilities, thresholds and labels give other figures."""


def run(
    folder: Path,
    cohort: Cohort,
    rule: DecisionRule,
    points: Mapping[str, Point],
    logits: FloatArray,
    calibrated: Mapping[str, FloatArray],
    calibrator: str,
    fitted: Mapping[str, int],
    tune_labels: FloatArray,
    tune_probabilities: FloatArray,
    min_positives: int,
) -> None:
    """Evaluate on test.

    Args:
        folder: gets ``metrics.json``, ``curves.json``, ``replicates.parquet``, the tables
            ``per_finding.csv``, ``calibration.csv``, ``prior_shift.csv``, ``roc.csv``, ``subgroups.csv``,
            ``cooccurrence.csv`` and ``confusion.csv`` (instead of the last two ``confusion_matrix.csv``
            where exactly one class is right), and of the test images, without labels,
            ``probabilities.parquet`` and ``decisions.parquet``.
        cohort: the test set.
        rule: what becomes of decisions.
        points: the operating point of each class.
        logits: ``[n, c]`` of test, raw.
        calibrated: probabilities ``[n, c]`` of test by calibrator.
        calibrator: whose probabilities decisions are made from.
        fitted: for how many classes each calibrator had enough labels to be fitted.
        tune_labels: ``[m, c]``, whose prevalence the null row predicts.
        tune_probabilities: ``[m, c]``, what thresholds were fitted on.
        min_positives: how many positives, and negatives, a subgroup needs for its figures to be shown.
    """
    task, labels, probabilities = cohort.task, cohort.labels, calibrated[calibrator]
    thresholds = np.array([points[name].threshold for name in task.classes])

    def decided(scores: FloatArray) -> FloatArray:
        return rule.decide(task.decide(scores, thresholds), scores, task.classes)

    decisions, tune_decisions = decided(probabilities), decided(tune_probabilities)
    each = per_finding(task, labels, probabilities, decisions, thresholds)
    figures = overall(task, labels, probabilities, decisions, each)
    table = _with_points(each, [points[name] for name in task.classes])
    resampled = resample(cohort, probabilities, decisions)
    calibration = calibration_table(task, labels, calibrated)
    shift = prior_shift_table(task, labels, probabilities, tune_labels)
    groups = subgroups_table(cohort, probabilities, decisions, min_positives)
    tables = {
        "per_finding": table,
        "calibration": calibration,
        "prior_shift": shift,
        "roc": roc_table(task, labels, probabilities),
        "subgroups": groups,
    }
    if task.kind == "singlelabel":
        matrix = pd.DataFrame(confusion_matrix(decisions, labels), columns=list(task.classes))
        matrix.insert(0, "truth", task.classes)
        tables["confusion_matrix"] = matrix
    else:
        tables["cooccurrence"] = cooccurrence_table(task, labels, decisions)
        tables["confusion"] = confusion_table(task, labels, decisions)
    for name, each_table in tables.items():
        each_table.to_csv(folder / f"{name}.csv", index=False)
    for name, values in {"probabilities": probabilities, "decisions": decisions}.items():
        of_images = pd.DataFrame(values, index=cohort.image_ids, columns=list(task.classes))
        write_matrix(of_images, folder / f"{name}.parquet")
    resampled.table().to_parquet(folder / "replicates.parquet", index=False)
    raw = task.probabilities(logits) if calibrator != "none" else None
    drawn = curves(task, labels, probabilities, calibrator, raw)
    # One line: of many short numbers, indentation would be most of the file.
    write_text(folder / "curves.json", canonical_json(drawn) + "\n")
    write_json(
        folder / "metrics.json",
        {
            "metrics": figures,
            "per_finding": table.to_dict("records"),
            "intervals": resampled.intervals(),
            "sanity": check_outputs(
                task, labels, task.log_odds(logits), resampled.overall()["macro_auc"].interval()
            ),
            "subgroups": subgroups_summary(groups),
            "optimism": optimism(
                task,
                tune={
                    "labels": tune_labels,
                    "probabilities": tune_probabilities,
                    "decisions": tune_decisions,
                },
                test={"labels": labels, "probabilities": probabilities, "decisions": decisions},
            ),
            "prior_shift": prior_shift_summary(shift),
            "null": null_rows(task, labels, tune_labels),
            "calibration": calibration_summary(calibration, fitted),
        },
    )


def _with_points(each: pd.DataFrame, points: list[Point]) -> pd.DataFrame:
    """The table with each finding's operating point behind its name."""
    table = each.copy()
    for place, name in enumerate(("threshold", "low", "high", "feasible", "reason"), start=1):
        column = name if name not in ("low", "high") else f"threshold_{name}"
        table.insert(place, column, [getattr(point, name) for point in points])
    return table


def read_probabilities(folder: Path) -> FloatArray:
    """The probabilities ``[n, c]`` that decisions are made from, in the order of test's image ids."""
    return read_matrix(folder / "probabilities.parquet")


def read_decisions(folder: Path) -> FloatArray:
    """The decisions ``[n, c]``, in the same order."""
    return read_matrix(folder / "decisions.parquet")
