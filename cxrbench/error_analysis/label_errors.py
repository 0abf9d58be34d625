"""Labels that are likely wrong, by confident learning."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.error_analysis.panel import Panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

COLUMNS = (
    *("image_id", "patient_id", "finding", "label", "suggested", "probability", "quality", "runs_against"),
)


def label_errors_table(panel: Panel) -> pd.DataFrame:
    """Labels that the runs together take for wrong, the least credible first.

    Confident learning estimates how many labels of each class are wrong from the probabilities of images that
    the networks were not trained on, here their mean over runs, and takes the least credible ones (pruning by
    noise rate). Of these only labels are kept that more than half of the runs decide against at their
    deployed thresholds, since half is no threshold of networks trained with weights. Northcutt, Jiang and
    Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021.

    Each finding of a multi-label task is a problem of its own; one without a known positive and a known
    negative has none. What is found is for people to look at: where all runs err alike, a hard image is taken
    for a wrong label.

    Columns: ``image_id``, ``patient_id``, ``finding`` (of one right class the labelled one), ``label``,
    ``suggested``, ``probability`` of the finding, ``quality`` (that of the given label: self-confidence),
    ``runs_against`` (how many decide against the label).
    """
    labels, mean = panel.cohort.labels, panel.probabilities.mean(axis=0)
    tables = []
    if panel.multilabel:
        for column, name in enumerate(panel.classes):
            (rows,) = np.nonzero(~np.isnan(labels[:, column]) & ~np.isnan(mean[:, column]))
            given, positive = labels[rows, column].astype(np.int64), mean[rows, column]
            chosen = _issues(given, np.column_stack([1 - positive, positive]))
            picked = rows[chosen]
            tables.append(_table(panel, picked, [name] * len(picked), column, labels[picked, column]))
            tables[-1]["suggested"] = (1 - labels[picked, column]).astype(np.int64).astype(str)
    else:
        (rows,) = np.nonzero(panel.counted.all(axis=1))
        given = labels[rows].argmax(axis=1)
        chosen = _issues(given, mean[rows])
        picked, names = rows[chosen], np.array(panel.classes, dtype=object)
        tables.append(
            _table(panel, picked, names[given[chosen]].tolist(), given[chosen], np.ones(len(picked)))
        )
        tables[-1]["suggested"] = names[mean[picked].argmax(axis=1)]
    found = pd.concat(tables, ignore_index=True)
    found = found[2 * found["runs_against"] > len(panel.members)]
    return found.sort_values("quality", kind="stable", ignore_index=True)[list(COLUMNS)]


def _issues(given: NDArray[np.int64], probabilities: FloatArray) -> NDArray[np.int64]:
    """The places of labels ``[n]`` that are likely wrong, by probabilities ``[n, k]``."""
    # Its import takes seconds.
    from cleanlab.filter import find_label_issues

    present = np.unique(given)
    if len(present) < 2:
        return np.empty(0, np.int64)
    # A class that no image is labelled with is none that a label could be wrong about.
    kept = probabilities[:, present]
    kept = kept / kept.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():
        # Of very few labels it takes none for wrong, which needs no warning.
        warnings.filterwarnings("ignore", message="May not flag all label issues")
        found = find_label_issues(
            labels=np.searchsorted(present, given),
            pred_probs=kept,
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
    return np.asarray(found, np.int64)


def _table(
    panel: Panel,
    rows: NDArray[np.int64],
    findings: list[str],
    columns: int | NDArray[np.int64],
    labels: FloatArray,
) -> pd.DataFrame:
    probability = panel.probabilities.mean(axis=0)[rows, columns]
    return pd.DataFrame(
        {
            "image_id": panel.cohort.image_ids.to_numpy()[rows],
            "patient_id": panel.cohort.patients.to_numpy()[rows],
            "finding": pd.Series(findings, dtype=object),
            "label": labels.astype(np.int64),
            "probability": probability.round(4),
            "quality": np.where(labels == 1, probability, 1 - probability).round(4),
            "runs_against": panel.wrong[:, rows, columns].sum(axis=0),
        }
    )
