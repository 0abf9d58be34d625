"""What a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cxrbench.specs import RunSpec

_RUN_BYTES = 3_000_000
"""A run's figures, tables and predictions, roughly."""


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        spec: the run, resolved.
        options: those of each component that differ from its defaults, by kind.
        data: what it would be tested on, as tables call it, and trained on where that is other data.
        unread: image files that must be read before anything is known; everything counts as new then.
        steps: stage, id, and whether the store has it, in order; empty where they are not known:
            there are ``unread`` images, or the batch size is still ``auto``.
        trainings: ids of the trainings (what stands for them where they are not known), to count those that
            several runs share once; the last is of the run's last network.
        parameter_bytes: size of the network's parameters.
        images: bytes that images which are not stored yet take at most, by what they are, to count what
            several runs share once.
        features: the same of features of frozen networks.
    """

    spec: RunSpec
    options: dict[str, dict[str, Any]]
    data: str
    unread: int
    steps: tuple[tuple[str, str, bool], ...]
    trainings: tuple[str, ...]
    parameter_bytes: int
    images: dict[str, int]
    features: dict[str, int]

    @property
    def trains(self) -> bool:
        """Whether a network would be trained."""
        return bool(self.new_trainings)

    @property
    def new_trainings(self) -> list[str]:
        """The trainings that the store has not got; none where weights are taken as they are."""
        if not self.spec.training.trains:
            return []
        done = {id_ for _, id_, is_done in self.steps if is_done}
        return [id_ for id_ in self.trainings if id_ not in done]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **self.spec.names(),
            "options": self.options,
            "seed": self.spec.seed,
            "tune": self.spec.tune,
            "trains": self.trains,
            "unread_images": self.unread,
            "features_bytes": sum(self.features.values()),
            "steps": [{"stage": stage, "id": id_, "done": done} for stage, id_, done in self.steps],
            "spec": self.spec.model_dump(mode="json"),
        }


def feature_bytes(plans: Sequence[Plan]) -> int:
    """Disk that features of frozen networks take at most, those that several runs share once."""
    return sum({id_: size for plan in plans for id_, size in plan.features.items()}.values())


def disk_bytes(plans: Sequence[Plan]) -> int:
    """Disk that these runs together take at most, while the last network trains.

    A trained network keeps its weights and Adam's two moments. While it trains, two whole states (each
    weights, best weights and moments) and the best weights lie beside each other.
    """
    images = {id_: size for plan in plans for id_, size in plan.images.items()}
    networks = {id_: plan.parameter_bytes for plan in plans for id_ in plan.new_trainings}
    new_runs = sum(not (plan.steps and plan.steps[-1][2]) for plan in plans)
    training = max(networks.values(), default=0) * (2 * 4 + 1)
    images_and_features = sum(images.values()) + feature_bytes(plans)
    return images_and_features + 3 * sum(networks.values()) + training + new_runs * _RUN_BYTES
