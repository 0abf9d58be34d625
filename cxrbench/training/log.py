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
STEP_COLUMNS = ("epoch", "step", "loss", "seconds")


class TrainingLog:
    """Rows so far; every epoch rewrites the files, so that they are whole at any time.

    Attributes:
        epochs: one mapping an epoch, of :data:`EPOCH_COLUMNS` and others, which are written behind them:
            ``accuracy`` of tasks in which one class is right; else ``macro_f1_at_0.5`` and
            ``auc_binarized_at_0.5``, and the same at other thresholds for all findings alike.
        steps: one row a step, of :data:`STEP_COLUMNS`.
    """

    def __init__(
        self, epochs: Sequence[Mapping[str, Any]] = (), steps: Sequence[Sequence[float]] = ()
    ) -> None:
        self.epochs: list[dict[str, Any]] = [dict(row) for row in epochs]
        self.steps: list[list[float]] = [list(row) for row in steps]

    def write(self, folder: Path) -> None:
        """Write ``epochs.jsonl``, ``epochs.csv`` and ``steps.csv``."""
        columns = tuple(dict.fromkeys([*EPOCH_COLUMNS, *(name for row in self.epochs for name in row)]))
        # A training that an older cxrbench began lacks columns in its first rows.
        rows = [{name: row.get(name) for name in columns} for row in self.epochs]
        lines = "".join(json.dumps(jsonable(row), allow_nan=False) + "\n" for row in rows)
        write_text(folder / "epochs.jsonl", lines)
        _write_csv(folder / "epochs.csv", columns, [list(row.values()) for row in rows])
        _write_csv(folder / "steps.csv", STEP_COLUMNS, self.steps)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
