"""Scores in an npz file of NumPy: a matrix of logits or probabilities, often with labels and without ids."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS, class_of
from cxrbench.scores.table import ScoreTable, Values

_KEYS = {
    "logits": ("logits", "logit"),
    "probabilities": ("probabilities", "probs", "prob", "probas"),
    "scores": ("scores", "preds", "predictions", "outputs", "y_pred", "y_score"),
    "labels": ("labels", "label", "targets", "y_true", "y"),
    "patients": ("patients", "patient", "patient_id", "patient_ids"),
    "ids": ("ids", "image_ids", "image_id", "image_index", "images", "names"),
    "classes": ("classes", "class_names", "findings"),
}
"""What arrays are called; ``test_`` may stand before it."""


def read(path: Path, classes: Sequence[str] | None) -> ScoreTable:
    """The scores of a file, with its labels, patients and ids as far as it has them.

    Args:
        path: of the file; arrays of Python objects are not read.
        classes: of the columns, in their order; None: those that the file names, or the 14 of NIH.

    Raises:
        UsageError: the file is no npz, has no scores or several, or its arrays do not fit each other.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as npz ({reason[:160]}); correct it.") from error
    found = {what: array for what, names in _KEYS.items() if (array := _array(arrays, names)) is not None}
    given = [what for what in ("logits", "probabilities", "scores") if what in found]
    if not given:
        raise UsageError(
            f"{path} holds {', '.join(arrays) or 'nothing'}, and no array logits or probabilities; name the "
            "scores so."
        )
    scores = found[given[0]]
    if scores.ndim != 2 or scores.dtype.kind not in "fiu":
        raise UsageError(
            f"The {given[0]} of {path} are no matrix of numbers, images × findings, but {scores.dtype} of "
            f"shape {scores.shape}; store them so."
        )
    for what in ("labels", "patients", "ids"):
        shape = scores.shape if what == "labels" else scores.shape[:1]
        if what in found and found[what].shape != shape:
            raise UsageError(
                f"The {what} of {path} have the shape {found[what].shape} where its scores need {shape}; "
                "store a row an image."
            )
    names, note = _classes(path, classes, found.get("classes"), scores.shape[1])
    labels = found.get("labels")
    if labels is not None:
        labels = labels.astype(np.float64)
        strange = labels[~np.isnan(labels) & (labels != 0) & (labels != 1)]
        if len(strange):
            raise UsageError(f"{path} has {strange[0]:g} among its labels; they are 1, 0, or NaN (unknown).")
    hint: Values | None = given[0] if given[0] in ("logits", "probabilities") else None
    return ScoreTable(
        path,
        _texts(found.get("ids")),
        names,
        scores.astype(np.float64),
        hint,
        (note,) if note else (),
        labels,
        _texts(found.get("patients")),
    )


def _array(arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> NDArray[Any] | None:
    return next((arrays[p + name] for p in ("", "test_") for name in names if p + name in arrays), None)


def _texts(array: NDArray[Any] | None) -> pd.Index[str] | None:
    return None if array is None else pd.Index(array.astype(str), dtype="str")


def _classes(
    path: Path, told: Sequence[str] | None, found: NDArray[Any] | None, columns: int
) -> tuple[tuple[str, ...], str]:
    """Names of the columns, and a note where nobody told them."""
    note = ""
    if told is not None:
        names: Sequence[str] = told
    elif found is not None:
        names = found.astype(str).tolist()
    elif columns == len(NIH_FINDINGS):
        names = NIH_FINDINGS
        note = f"{path.name} does not name its columns; they are taken for the 14 findings in NIH's order."
    else:
        raise UsageError(
            f"{path} does not name its {columns} columns; give their findings in order with --classes."
        )
    names = tuple(class_of(name, NIH_FINDINGS) or name for name in names)
    if len(names) != columns or len(set(names)) < columns:
        raise UsageError(
            f"{path} has {columns} columns, for which the classes {', '.join(names)} are given; give each "
            "column one name with --classes."
        )
    return names, note
