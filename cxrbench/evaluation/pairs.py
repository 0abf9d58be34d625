"""Pairs of findings: which come together, and which is called where another is present."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.statistics.cooccurrence import (
    Pairs,
    calls_where_present,
    cooccurrence,
    false_calls_where_present,
)

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray
    from cxrbench.task import Task


def cooccurrence_table(task: Task, labels: FloatArray, decisions: FloatArray) -> pd.DataFrame:
    """How often ``other`` is present where ``finding`` is, and is called where ``finding`` is called."""
    return _long(task, {"": cooccurrence(labels), "called_": cooccurrence(decisions)})


def confusion_table(task: Task, labels: FloatArray, decisions: FloatArray) -> pd.DataFrame:
    """How often ``other`` is called where ``finding`` is present; ``false_``: and ``other`` is absent."""
    return _long(
        task,
        {
            "": calls_where_present(decisions, labels),
            "false_": false_calls_where_present(decisions, labels),
        },
    )


def _long(task: Task, pairs: dict[str, Pairs]) -> pd.DataFrame:
    """A row an ordered pair; columns ``both``, ``among`` and ``rate`` for each of the pairs."""
    count = len(task.classes)
    columns = {"finding": np.repeat(task.classes, count), "other": np.tile(task.classes, count)}
    for start, each in pairs.items():
        columns |= {f"{start}{name}": getattr(each, name).ravel() for name in ("both", "among", "rate")}
    return pd.DataFrame(columns)
