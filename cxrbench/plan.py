"""What a run would do, without doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cxrbench.registry import KINDS
from cxrbench.specs import RunSpec


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        spec: the run, resolved.
        unread: image files that must be read before anything is known; everything counts as new then.
        steps: stage, id, and whether the store has it, in order; empty where ``unread``.
        train: id of the training (what stands for it where ``unread``), to count those that several runs
            share once.
        training_bytes: disk that a new training takes at most.
        images: the same of the stored images that would be made; empty where they are there or not
            needed.
        images_bytes: disk that they take.
    """

    spec: RunSpec
    unread: int
    steps: tuple[tuple[str, str, bool], ...]
    train: str
    training_bytes: int
    images: str
    images_bytes: int

    @property
    def trains(self) -> bool:
        """Whether a network would be trained."""
        return not any(id_ == self.train and done for _, id_, done in self.steps)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            **{kind: self.spec.use(kind).name for kind in KINDS},
            "seed": self.spec.seed,
            "trains": self.trains,
            "unread_images": self.unread,
            "steps": [{"stage": stage, "id": id_, "done": done} for stage, id_, done in self.steps],
            "spec": self.spec.model_dump(mode="json"),
        }
