"""Curves of each finding, few enough points for a page and a table: ROC, PR, reliability, thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.statistics.calibration import reliability
from cxrbench.statistics.decisions import decision_curve
from cxrbench.statistics.ranking import precision_recall_curve, roc_curve
from cxrbench.statistics.sweep import sweep_grid
from cxrbench.statistics.undefined import known_cells, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray
    from cxrbench.task import Task

POINTS, DIGITS = 64, 4
_TABLE_POINTS = 256
_LARGEST = 0.99
"""The largest threshold of threshold and decision curves: at 1, a false positive would cost without end."""


def curves(
    task: Task,
    labels: FloatArray,
    probabilities: FloatArray,
    calibrator: str = "none",
    raw: FloatArray | None = None,
) -> dict[str, Any]:
    """All curves, as JSON: at most 64 points each, rounded to four digits.

    Points of ROC and PR curves are points of the whole curve, at even steps along it; thresholds are even
    steps from 0 to the highest probability. A finding without positives or without negatives has none of
    these (null); reliability needs no more than a known label.

    Args:
        task: names the findings.
        labels: ``[n, c]``.
        probabilities: ``[n, c]``, what decisions are made from.
        calibrator: what they come from.
        raw: ``[n, c]``, before calibration; None where ``probabilities`` are that.
    """
    diagrams = {"reliability": reliability(probabilities, labels)}
    if raw is not None:
        diagrams["reliability_raw"] = reliability(raw, labels)
    return {
        "calibrator": calibrator,
        "points": POINTS,
        "digits": DIGITS,
        "findings": [
            {
                "finding": name,
                **_of_finding(labels[:, column], probabilities[:, column]),
                **{kind: _diagram(diagram, column) for kind, diagram in diagrams.items()},
            }
            for column, name in enumerate(task.classes)
        ],
    }


def _of_finding(labels: FloatArray, probabilities: FloatArray) -> dict[str, Any]:
    known = known_cells(probabilities[:, None], labels[:, None])[:, 0]
    if not ((labels[known] == 1).any() and (labels[known] == 0).any()):
        return dict.fromkeys(("roc", "pr", "thresholds", "decision"))
    fpr, tpr, at = roc_curve(probabilities, labels)
    roc = _along(np.abs(np.diff(fpr)) + np.abs(np.diff(tpr)))
    precision, recall, at_pr = precision_recall_curve(probabilities, labels)
    # Left of the first positive, precision jumps about; so steps are along recall alone.
    pr = _along(np.abs(np.diff(recall)))
    grid = np.linspace(0, min(float(probabilities[known].max()), _LARGEST), POINTS)
    swept = sweep_grid(probabilities[:, None], labels[:, None], grid)
    benefit, of_all = decision_curve(probabilities[:, None], labels[:, None], grid)
    return {
        "roc": _rounded(fpr=fpr[roc], tpr=tpr[roc], threshold=at[roc]),
        "pr": _rounded(recall=recall[pr], precision=precision[pr], threshold=at_pr[pr]),
        "thresholds": _rounded(
            threshold=grid,
            precision=swept.precision[:, 0],
            recall=ratio(swept.tp[:, 0], swept.positives[0]),
            f1=swept.f1[:, 0],
        ),
        "decision": _rounded(threshold=grid, net_benefit=benefit[:, 0], of_calling_all=of_all[:, 0]),
    }


def _diagram(diagram: Any, column: int) -> dict[str, Any]:
    """The bins that hold images."""
    filled = diagram.count[column] > 0
    rates = {name: getattr(diagram, name)[column][filled] for name in ("probability", "rate", "low", "high")}
    return {"count": diagram.count[column][filled].tolist(), **_rounded(**rates)}


def _along(steps: FloatArray) -> NDArray[np.int64]:
    """Places of at most :data:`POINTS` points at even steps along a curve; the first and last among them."""
    reached = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, reached[-1], POINTS)
    # A step that no point lies on exactly takes the point before; the last is the last.
    places = np.searchsorted(reached, wanted, side="right") - 1
    places[-1] = len(reached) - 1
    return np.unique(places)


def _rounded(**columns: FloatArray) -> dict[str, list[float]]:
    return {name: np.round(values, DIGITS).tolist() for name, values in columns.items()}


def roc_table(task: Task, labels: FloatArray, probabilities: FloatArray) -> pd.DataFrame:
    """ROC curves, long, at most 256 points each, at even steps along the curve."""
    tables = []
    for column, name in enumerate(task.classes):
        fpr, tpr, thresholds = roc_curve(probabilities[:, column], labels[:, column])
        steps = np.linspace(0, len(fpr) - 1, min(len(fpr), _TABLE_POINTS))
        chosen = np.unique(steps.round().astype(int))
        tables.append(
            pd.DataFrame(
                {"finding": name, "fpr": fpr[chosen], "tpr": tpr[chosen], "threshold": thresholds[chosen]}
            )
        )
    return pd.concat(tables, ignore_index=True)
