"""The data set's findings, and "No Finding" as a class of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.findings import NO_FINDING
from cxrbench.interfaces import TaskLabels
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True, kw_only=True)
class WithNoFinding:
    """The findings with "No Finding" as one more yes/no question.

    It is 1 where every finding is known to be absent, 0 where any is present, and unknown otherwise.
    """

    def recommend(self) -> Mapping[str, object]:
        """Nothing."""
        return {}

    def define(self, own: Task, labels: FloatArray) -> TaskLabels:
        """The labels as they are and, last, those of "No Finding"."""
        task, labels = with_no_finding(own, labels)
        return TaskLabels(task, labels, np.ones(len(labels), dtype=np.bool_))


def with_no_finding(own: Task, labels: FloatArray) -> tuple[Task, FloatArray]:
    """A task and labels ``[n, c]`` with the class "No Finding", which is added last where there is none."""
    if NO_FINDING in own.classes:
        return own, labels
    present = (labels == 1).any(axis=1)
    none = np.where(present, 0.0, np.where(np.isnan(labels).any(axis=1), np.nan, 1.0))
    return Task(own.kind, (*own.classes, NO_FINDING)), np.column_stack([labels, none])
