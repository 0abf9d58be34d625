"""The images that systems are tested on, with what is known of their patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Cohort:
    """A test set.

    Attributes:
        task: classes and decision.
        passport: the id of the passport, which names the resamples: systems that share it see the same ones.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        patients: ``[n]``, the patient of each image, by image id.
        facts: ``[n]``, columns age, sex and view, as in a manifest.
    """

    task: Task
    passport: str
    labels: FloatArray
    patients: pd.Series[str]
    facts: pd.DataFrame

    @property
    def image_ids(self) -> pd.Index[str]:
        """``[n]``."""
        return self.patients.index
