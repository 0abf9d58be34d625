"""Calibrate: from raw logits to probabilities, fitted on tune."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.files import read_json, write_json
from cxrbench.interfaces import Calibrator
from cxrbench.matrices import read_matrix, write_matrix
from cxrbench.roles import patient_folds
from cxrbench.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

VERSION = "1"
"""Changes when the same logits and labels give other probabilities."""

FOLDS = 5


def run(
    folder: Path,
    calibrator: Calibrator,
    task: Task,
    logits: FloatArray,
    labels: FloatArray,
    patients: pd.Series[str],
    min_positives: int,
) -> None:
    """Fit on logits and labels ``[n, c]`` of tune.

    Leaves ``calibration.json`` (the state fitted on all of tune, and which findings keep their raw
    probabilities) and ``tune.parquet``: cross-fitted probabilities of the tune images, each from a
    calibrator that never saw the image's patient. Thresholds are fitted on those: on probabilities
    that were calibrated on the same rows they would look better than they are.
    """
    fitted = can_be_fitted(task, labels, min_positives)
    seen = _seen(calibrator, task, logits)
    state = fit_where(calibrator, seen, labels, fitted)
    cross = task.probabilities(logits)
    folds = patient_folds(patients, FOLDS)
    for fold in range(FOLDS):
        held_out = folds == fold
        # A finding may lose one of its classes in a fold; it then keeps its raw probabilities there.
        usable = fitted & can_be_fitted(task, labels[~held_out], 1)
        if held_out.any():
            fold_state = fit_where(calibrator, seen[~held_out], labels[~held_out], usable)
            cross[held_out] = apply(calibrator, fold_state, task, logits[held_out])
    write_json(
        folder / "calibration.json", {"classes": task.classes, "min_positives": min_positives, **state}
    )
    table = pd.DataFrame(cross, index=patients.index, columns=list(task.classes))
    write_matrix(table, folder / "tune.parquet")


def enough_of_both(labels: FloatArray, least: int) -> NDArray[np.bool_]:
    """Which classes ``[c]`` have at least ``least`` (and at least one) positives and as many negatives."""
    least = max(least, 1)
    enough: NDArray[np.bool_] = ((labels == 1).sum(axis=0) >= least) & ((labels == 0).sum(axis=0) >= least)
    return enough


def can_be_fitted(task: Task, labels: FloatArray, least: int) -> NDArray[np.bool_]:
    """As :func:`enough_of_both`; all classes of a single-label task or none, for they share a softmax."""
    enough = enough_of_both(labels, least)
    return enough if task.kind == "multilabel" else np.full_like(enough, enough.all())


def _seen(calibrator: Calibrator, task: Task, logits: FloatArray) -> FloatArray:
    """Log-odds of each class by itself, but for calibrators of a softmax as a whole."""
    return task.log_odds(logits) if "multilabel" in calibrator.tasks else logits


def fit_where(
    calibrator: Calibrator, logits: FloatArray, labels: FloatArray, fitted: NDArray[np.bool_]
) -> dict[str, Any]:
    """Fit on the chosen columns; ``{"fitted": [c booleans], "state": ...}``."""
    state = calibrator.fit(logits[:, fitted], labels[:, fitted]) if fitted.any() else {}
    return {"fitted": fitted.tolist(), "state": dict(state)}


def apply(calibrator: Calibrator, state: Mapping[str, Any], task: Task, logits: FloatArray) -> FloatArray:
    """Probabilities ``[n, c]``: calibrated where the state was fitted, raw elsewhere."""
    probabilities = task.probabilities(logits)
    fitted = np.asarray(state["fitted"], dtype=bool)
    if fitted.any():
        probabilities[:, fitted] = calibrator.probabilities(
            _seen(calibrator, task, logits)[:, fitted], state["state"]
        )
    return probabilities


def read_state(folder: Path) -> dict[str, Any]:
    """What :func:`run` left in ``calibration.json``."""
    state: dict[str, Any] = read_json(folder / "calibration.json")
    return state


def read_tune(folder: Path) -> FloatArray:
    """The cross-fitted probabilities ``[n, c]``, in the order of tune's image ids."""
    return read_matrix(folder / "tune.parquet")
