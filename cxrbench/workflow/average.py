"""Several networks as one: the average of what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.data import Data
from cxrbench.network_steps import average_step
from cxrbench.predictions import Predictions, read_seconds
from cxrbench.roles import Role
from cxrbench.stages import average
from cxrbench.store import Step, Store

if TYPE_CHECKING:
    from torch import nn

    from cxrbench.workflow.network import Network


@dataclass(frozen=True)
class Average:
    """The average of networks; of one network, what it predicts itself.

    Attributes:
        store: where predictions are.
        data: the data set that they are trained on.
        members: the networks.
    """

    store: Store
    data: Data
    members: tuple[Network, ...]

    def step(self, role: Role) -> Step:
        """The step that holds the predictions on a role."""
        steps = [member.prediction(role) for member in self.members]
        return steps[0] if len(steps) == 1 else average_step(steps)

    def steps(self, roles: Sequence[Role]) -> list[Step]:
        """All that is done for these roles but their last steps, in order."""
        if len(self.members) == 1:
            return [self.members[0].training]
        each = ([member.training, *map(member.prediction, roles)] for member in self.members)
        return [step for steps in each for step in steps]

    def ensure(self, roles: Sequence[Role], network: nn.Module | None = None) -> None:
        """Train, predict and average what is not in the store; ``network`` is how the first one starts."""
        for place, member in enumerate(self.members):
            member.ensure(roles, None if place else network)
        if len(self.members) > 1:
            for role in roles:
                self.store.ensure(self.step(role), partial(self._average, role))

    def read(self, role: Role) -> Predictions:
        """The predictions on a role."""
        return self._predicted(self.step(role))

    def _average(self, role: Role, folder: Path) -> None:
        steps = [member.prediction(role) for member in self.members]
        seconds = [read_seconds(self.store.read(step.id).folder) for step in steps]
        average.run(folder, list(map(self._predicted, steps)), seconds)

    def _predicted(self, step: Step) -> Predictions:
        return Predictions.read(self.store.read(step.id).folder / "predictions.parquet")
