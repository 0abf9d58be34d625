"""Exactly one of a few classes is right: images with one label alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cxrbench.errors import UsageError, did_you_mean
from cxrbench.findings import NIH_FINDINGS, NO_FINDING
from cxrbench.interfaces import TaskLabels
from cxrbench.task import Task
from cxrbench.tasks.with_no_finding import with_no_finding

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

FOUR = (NO_FINDING, "Effusion", "Infiltration", "Atelectasis")
"""Of the four-class study, "Chest X-ray Image Classification", section 1.2."""

CHESTXRAY8 = (*NIH_FINDINGS[:8], NO_FINDING)
"""The eight findings of Wang et al. 2017, and none; with ``rest="Other"`` the ten classes of "ChestX-ray14
Project - Group 38", section 4.1."""

_SETS = {"four": FOUR, "chestxray8": CHESTXRAY8}


@dataclass(frozen=True, kw_only=True)
class SingleLabel:
    """One class out of several, by softmax.

    An image has a place where its labels are all known, exactly one of them is present ("No Finding" counts
    as the label of an image without any), and that one is among the classes.

    Attributes:
        classes: their names; ``four`` is :data:`FOUR`, ``chestxray8`` is :data:`CHESTXRAY8`.
        rest: a class for all other images whose labels are known, by the name that it gets; empty leaves
            them out.
    """

    classes: Literal["four", "chestxray8"] | tuple[str, ...] = "four"
    rest: str = ""

    def __post_init__(self) -> None:
        """Refuse what is wrong whatever the data set.

        Raises:
            UsageError: a class comes twice, or there are fewer than two.
        """
        names = self.names
        twice = [name for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise UsageError(f"The task 'single_label' has the class '{twice[0]}' twice; name each once.")
        if len(names) < 2:
            raise UsageError(
                "The task 'single_label' needs at least two classes; add some to 'classes', or name 'rest'."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All classes, that of the rest last."""
        chosen = _SETS[self.classes] if isinstance(self.classes, str) else self.classes
        return (*chosen, self.rest) if self.rest else chosen

    def recommend(self) -> Mapping[str, object]:
        """What fits a softmax."""
        return {"loss": "cross_entropy", "thresholds": "argmax"}

    def define(self, own: Task, labels: FloatArray) -> TaskLabels:
        """The one label of each image that has a place.

        Raises:
            UsageError: the data set lacks one of the classes.
        """
        theirs, labels = with_no_finding(own, labels)
        chosen = self.names[:-1] if self.rest else self.names
        for name in chosen:
            if name not in theirs.classes:
                raise UsageError(
                    f"The data set has no class '{name}' for the task 'single_label'; "
                    f"{did_you_mean(name, theirs.classes)}"
                )
        known = ~np.isnan(labels).any(axis=1)
        alone = known & ((labels == 1).sum(axis=1) == 1)
        columns = labels[:, [theirs.classes.index(name) for name in chosen]]
        placed = alone & (columns == 1).any(axis=1)
        if self.rest:
            columns = np.column_stack([np.where(placed[:, None], columns, 0.0), known & ~placed])
            placed = known
        values = np.where(placed[:, None], columns, np.nan).astype(np.float64)
        return TaskLabels(Task("singlelabel", self.names), values, placed)
