"""Training labels that networks give, in place of the data set's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.data import Data
from cxrbench.matrices import read_matrix
from cxrbench.network_steps import relabel_step
from cxrbench.roles import Role
from cxrbench.stages import relabel
from cxrbench.store import Step, Store
from cxrbench.workflow.average import Average

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Relabelling:
    """The labels that teachers, trained on the data set's own, give the training images.

    Attributes:
        store: where artifacts are.
        data: the data set.
        teachers: networks whose average is cut at the thresholds of best F1 on ``tune``.
        tune: the role that the thresholds are fitted on.
    """

    store: Store
    data: Data
    teachers: Average
    tune: Role

    @cached_property
    def step(self) -> Step:
        """The step that makes the labels."""
        predictions = [self.teachers.step(role) for role in self._roles]
        return relabel_step(predictions, [self.data.label_step(role) for role in self._roles])

    @property
    def _roles(self) -> tuple[Role, ...]:
        return ("train", self.tune)

    def steps(self) -> list[Step]:
        """All that is done, in order."""
        made_by = self.teachers.steps(self._roles)
        return [*made_by, *map(self.teachers.step, self._roles), self.step]

    def ensure(self) -> None:
        """Train the teachers and make the labels, where the store has not got them."""
        self.teachers.ensure(self._roles)
        self.store.ensure(self.step, self._relabel)

    def labels(self) -> FloatArray:
        """The labels ``[n, classes]`` of the train role, in the order of its image ids."""
        return read_matrix(self.store.read(self.step.id).folder / "labels.parquet")

    def _relabel(self, folder: Path) -> None:
        train, tune = (
            (
                self.teachers.read(role).matrix(self.data.image_ids(role)),
                self.data.labels(role, self.step.id, "fit"),
            )
            for role in self._roles
        )
        relabel.run(folder, self.data.task, self.data.image_ids("train"), train, tune)
