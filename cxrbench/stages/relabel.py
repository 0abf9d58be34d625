"""Relabel: labels of the training images from networks that were trained on the published ones.

As CheXNeXt does it: Rajpurkar et al., "Deep learning for chest radiograph diagnosis", PLoS Medicine, 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.files import write_json
from cxrbench.matrices import write_matrix
from cxrbench.statistics.operating import best_f1
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "1"
"""Changes when the same predictions and labels give other labels."""


def run(
    folder: Path,
    task: Task,
    image_ids: pd.Index[str],
    train: tuple[FloatArray, FloatArray],
    tune: tuple[FloatArray, FloatArray],
) -> None:
    """Write ``labels.parquet`` of the training images, and what changed to ``relabelling.json``.

    A label is 1 where the probability reaches the threshold of best F1 on tune; the most probable class is
    1 where one class is right. A class without positives on tune has no threshold and keeps its labels.

    Args:
        folder: to write into.
        task: classes and activation.
        image_ids: ``[n]`` of train.
        train: logits and labels ``[n, c]``.
        tune: logits and labels ``[m, c]``.
    """
    probabilities, before = task.probabilities(train[0]), train[1]
    if task.kind == "singlelabel":
        thresholds = np.full(len(task.classes), np.nan)
        after = task.decide(probabilities, None)
    else:
        thresholds, _ = best_f1(task.probabilities(tune[0]), tune[1])
        after = np.where(np.isnan(thresholds), before, task.decide(probabilities, thresholds))
    write_matrix(
        pd.DataFrame(after.astype(np.float32), index=image_ids, columns=list(task.classes)),
        folder / "labels.parquet",
    )
    write_json(
        folder / "relabelling.json",
        {
            name: {
                "threshold": thresholds[column],
                "positives_before": int((before[:, column] == 1).sum()),
                "positives_after": int((after[:, column] == 1).sum()),
                "changed": int((before[:, column] != after[:, column]).sum()),
            }
            for column, name in enumerate(task.classes)
        },
    )
