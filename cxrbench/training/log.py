"""The log of a training: one row an epoch and one a step, as JSON lines and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxrbench.canonical import jsonable
from cxrbench.files import write_text

EPOCH_COLUMNS = (
    "epoch",
    "cycle",
    "learning_rate",
    "train_loss",
    "val_loss",
    "mean_precision",
    "mean_recall",
    "macro_f1",
    "macro_auc",
    "seconds",
    "step_ms",
    "images_per_second",
    "best",
)
SINGLE_LABEL_COLUMNS = ("accuracy",)
"""Of tasks in which one class is right, behind the others."""
STEP_COLUMNS = ("epoch", "step", "loss", "seconds")


class TrainingLog:
    """Rows so far; every epoch rewrites the files, so that they are whole at any time.

    Attributes:
        epochs: one mapping an epoch, of :data:`EPOCH_COLUMNS` and, where they apply,
            :data:`SINGLE_LABEL_COLUMNS`.
        steps: one row a step, of :data:`STEP_COLUMNS`.
    """

    def __init__(
        self, epochs: Sequence[Mapping[str, Any]] = (), steps: Sequence[Sequence[float]] = ()
    ) -> None:
        self.epochs: list[dict[str, Any]] = [dict(row) for row in epochs]
        self.steps: list[list[float]] = [list(row) for row in steps]

    def write(self, folder: Path) -> None:
        """Write ``epochs.jsonl``, ``epochs.csv`` and ``steps.csv``."""
        lines = "".join(json.dumps(jsonable(row), allow_nan=False) + "\n" for row in self.epochs)
        write_text(folder / "epochs.jsonl", lines)
        columns = (*EPOCH_COLUMNS, *(c for c in SINGLE_LABEL_COLUMNS if any(c in row for row in self.epochs)))
        _write_csv(folder / "epochs.csv", columns, [[row[c] for c in columns] for row in self.epochs])
        _write_csv(folder / "steps.csv", STEP_COLUMNS, self.steps)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
