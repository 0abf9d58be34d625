"""Average: the mean of the probabilities that several networks give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import log_expit, log_softmax, logsumexp

from cxrbench.predictions import Predictions
from cxrbench.stages import predict
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

VERSION = "1"
"""Changes when the same predictions are averaged to others."""


def run(folder: Path, members: Sequence[Predictions], seconds: Sequence[float | None]) -> None:
    """Write ``predictions.parquet``: the logits of the mean probability of each image and class.

    Of a single-label task they are its logarithm, of which the softmax is the mean probability again.
    ``seconds`` that the members' predictions took are added up, where all are known.
    """
    task, ids = members[0].task, members[0].table.index
    mean = mean_logits(task, np.stack([member.matrix(ids) for member in members]))
    table = pd.DataFrame(mean.astype(np.float32), index=ids, columns=list(task.classes))
    Predictions(task, table).write(folder / "predictions.parquet")
    known = [each for each in seconds if each is not None]
    if len(known) == len(members):
        predict.write_record(folder, sum(known), len(ids))


def mean_logits(task: Task, logits: FloatArray) -> FloatArray:
    """The logits ``[n, c]`` of the mean probability, of logits ``[members, n, c]``; of one member its own."""
    if len(logits) == 1:
        alone: FloatArray = logits[0]
        return alone
    if task.kind == "singlelabel":
        return _log_mean(log_softmax(logits, axis=2))
    return _log_mean(log_expit(logits)) - _log_mean(log_expit(-logits))


def _log_mean(logs: FloatArray) -> FloatArray:
    """The logarithm of the mean over the first axis of what these are the logarithms of."""
    return np.asarray(logsumexp(logs, axis=0) - np.log(len(logs)))
