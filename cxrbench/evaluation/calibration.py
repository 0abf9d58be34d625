"""How far probabilities are from the rates on test: raw, after each calibrator, after another prevalence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxrbench.evaluation.figures import prevalence
from cxrbench.statistics.averages import macro
from cxrbench.statistics.calibration import brier, expected_calibration_error
from cxrbench.statistics.prior_shift import (
    estimate_prevalence,
    estimate_priors,
    with_prevalence,
    with_priors,
)

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray
    from cxrbench.task import Task


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


def calibration_summary(table: pd.DataFrame, fitted: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Their means over findings by calibrator, and for how many findings each was fitted."""
    return {
        str(name): {
            "macro_ece": macro(rows["ece"].to_numpy()),
            "macro_brier": macro(rows["brier"].to_numpy()),
            "fitted": fitted[str(name)],
        }
        for name, rows in table.groupby("calibrator", sort=False)
    }


def prior_shift_table(
    task: Task, labels: FloatArray, probabilities: FloatArray, tune_labels: FloatArray
) -> pd.DataFrame:
    """What correcting probabilities for the prevalence of test would do to them; no decision uses it.

    ``estimated``: the prevalence that test's own probabilities make likeliest (Saerens, Latinne and
    Decaestecker 2002): transductive, it reads all of test's scores, but no label. ``known``: the
    true prevalence, read from the labels, is the best that any such correction could go by. See
    :mod:`cxrbench.statistics.prior_shift`.

    Args:
        task: names the findings.
        labels: ``[n, c]`` of test.
        probabilities: ``[n, c]`` of test, as calibrated on tune.
        tune_labels: ``[m, c]``, whose prevalence the probabilities were calibrated to.

    Returns:
        A row a finding: ``tune``, ``test`` and ``estimated`` prevalence; ECE and Brier score of the
        probabilities as they are, and corrected for the estimated and for the known prevalence.
    """
    source, true = prevalence(tune_labels), prevalence(labels)
    if task.kind == "singlelabel":
        estimated = estimate_priors(probabilities, source)
        corrected = {
            "": probabilities,
            "_estimated": with_priors(probabilities, source, estimated),
            "_known": with_priors(probabilities, source, true),
        }
    else:
        estimated = estimate_prevalence(probabilities, source)
        corrected = {
            "": probabilities,
            "_estimated": with_prevalence(probabilities, source, estimated),
            "_known": with_prevalence(probabilities, source, true),
        }
    columns = {"finding": task.classes, "tune": source, "test": true, "estimated": estimated}
    for name, each in corrected.items():
        columns[f"ece{name}"] = expected_calibration_error(each, labels)
        columns[f"brier{name}"] = brier(each, labels)
    return pd.DataFrame(columns)


def prior_shift_summary(table: pd.DataFrame) -> dict[str, Any]:
    """Means over the findings for which all of it is defined; it is ``transductive``, and shown only."""
    defined = table.dropna()
    figures = [name for name in map(str, table) if name.startswith(("ece", "brier"))]
    return {
        "transductive": True,
        "findings": len(defined),
        **{f"macro_{name}": macro(defined[name].to_numpy()) for name in figures},
        "prevalence_error_before": macro((defined["tune"] - defined["test"]).abs().to_numpy()),
        "prevalence_error_after": macro((defined["estimated"] - defined["test"]).abs().to_numpy()),
    }
