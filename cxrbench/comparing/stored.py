"""What a stored run was evaluated on, read back; test labels only through the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.data import FACTS
from cxrbench.errors import CxrbenchError
from cxrbench.evaluation.cohort import Cohort
from cxrbench.evaluation.replicates import resample
from cxrbench.evaluation.stored import Evaluation, estimate_of
from cxrbench.matrices import read_matrix
from cxrbench.predictions import Predictions
from cxrbench.records import task_kind
from cxrbench.stages.evaluate import read_decisions
from cxrbench.stages.threshold import read_points
from cxrbench.statistics.bootstrap import Estimate
from cxrbench.store import Artifact, Store
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class StoredRun:
    """A run with its figures and, where they are needed, its probabilities and test labels.

    Attributes:
        store: where it is.
        record: its ``run.json``.
        reader: the command that reads, for the log of labels.
    """

    store: Store
    record: Mapping[str, Any]
    reader: str = "compare"

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.record["run_id"])

    def estimate(self, name: str) -> Estimate | None:
        """A figure with its replicates; None where it has none.

        Args:
            name: of a figure over all findings, or ``auc:FINDING``.
        """
        intervals, replicates = self._resampled
        if name not in replicates or (":" not in name and name not in self.record["metrics"]):
            return None
        return estimate_of(name, self.record, intervals, replicates)

    def is_there(self) -> bool:
        """Whether what it was evaluated on can be read: parts of a store may be damaged or taken away."""
        try:
            decided = len(self.decisions), len(self.thresholds)
            return decided == (len(self.cohort.labels), len(self.task.classes))
        except (CxrbenchError, OSError, ValueError, KeyError):
            return False

    @cached_property
    def probabilities(self) -> pd.DataFrame:
        """What decisions were made from, ``[n, c]``, indexed by the test images' ids."""
        path = self._evaluation.folder / "probabilities.parquet"
        table: pd.DataFrame = pd.read_parquet(path).set_index("image_id")
        return table

    @cached_property
    def labels(self) -> FloatArray:
        """The test labels ``[n, c]``, in the order of the probabilities; the reading is logged."""
        step = self._parent("labels", role="test")
        labels = read_matrix(step.folder / "labels.parquet")
        self.store.log_label_read("test", step.id, f"{self.reader}/{self.run_id}", "evaluate")
        return labels

    @cached_property
    def task(self) -> Task:
        """Its classes, and whether exactly one of them is right."""
        return Task(task_kind(self.record), tuple(self.probabilities.columns))

    @cached_property
    def thresholds(self) -> FloatArray:
        """The deployed threshold of each class ``[c]``; NaN where there is none."""
        points = read_points(self._parent("threshold").folder)
        return np.array([points[name].threshold for name in self.task.classes])

    @cached_property
    def decisions(self) -> FloatArray:
        """The deployed decisions ``[n, c]``: 1, 0 or NaN (undecided); of an old run computed anew."""
        if (self._evaluation.folder / "decisions.parquet").exists():
            return read_decisions(self._evaluation.folder)
        return self.task.decide(self.probabilities.to_numpy(np.float64), self.thresholds)

    @cached_property
    def cohort(self) -> Cohort:
        """The test set."""
        return Cohort(
            self.task,
            self.record["passport"]["id"],
            self.labels,
            self.patients,
            self._manifest.loc[self.probabilities.index, list(FACTS)],
        )

    @cached_property
    def sources(self) -> pd.Series[str]:
        """The path of each test image below the data root, by image id; empty for drawn ones."""
        sources: pd.Series[str] = self._manifest["source"].loc[self.probabilities.index]
        return sources

    @cached_property
    def patients(self) -> pd.Series[str]:
        """The patient of each test image, by image id."""
        patients: pd.Series[str] = self._manifest["patient_id"].loc[self.probabilities.index]
        return patients

    @cached_property
    def _resampled(self) -> tuple[Mapping[str, Any], pd.DataFrame]:
        """What is said of replicates, and the replicates: stored, or of an old run computed anew."""
        evaluation = Evaluation.of(self.store.root, self.record)
        if evaluation is not None:
            return self.record["intervals"], evaluation.replicates
        found = resample(self.cohort, self.probabilities.to_numpy(np.float64), self.decisions)
        return found.intervals(), found.table()

    @cached_property
    def _evaluation(self) -> Artifact:
        (found,) = (each for each in self.record["artifacts"] if each.startswith("evaluate/"))
        return self.store.read(found)

    @cached_property
    def _manifest(self) -> pd.DataFrame:
        run = self.store.read(f"run/{self.run_id}")
        manifests = [each for each in run.record["parents"] if each.startswith("manifest/")]
        # The test data set's stands last.
        path = self.store.read(manifests[-1]).folder / "manifest.parquet"
        table: pd.DataFrame = pd.read_parquet(path).set_index("image_id")
        return table

    @cached_property
    def logits(self) -> pd.DataFrame:
        """The raw logits ``[n, c]`` of all classes of the network, indexed by image ids."""
        made = "average" if self.record["spec"].get("averaged", 1) > 1 else "predict"
        return Predictions.read(self._parent(made).folder / "predictions.parquet").table

    def _parent(self, stage: str, role: str = "") -> Artifact:
        """What the evaluation was made of, by stage."""
        for parent in self._evaluation.record["parents"]:
            if parent.startswith(f"{stage}/"):
                found = self.store.read(parent)
                if not role or found.record["inputs"]["role"] == role:
                    return found
        raise CxrbenchError(
            f"The evaluation of {self.run_id} does not say what it was made of; run it again."
        )
