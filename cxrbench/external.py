"""External validation: what of another data set a network can be tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from cxrbench.collection import Collection
from cxrbench.data import Passport
from cxrbench.errors import UsageError
from cxrbench.roles import Role, assign_roles
from cxrbench.selection import Selected, Selection
from cxrbench.task import Task


@dataclass(frozen=True)
class ExternalTest(Selection):
    """The test images of another data set, with the findings that a network was trained on, matched by name.

    All of its images are for testing where it has neither official lists nor roles of its own.

    Attributes:
        task: what the network was trained on.
    """

    needs: tuple[Role, ...] = ("test",)
    task: Task = field(default_factory=lambda: Task("multilabel", ()))

    def of(self, collection: Collection) -> Selected:
        """The test images, and the labels of the findings that both have, in the network's order.

        Raises:
            UsageError: the tasks differ in kind, no finding is in both, or there is no test image.
        """
        manifest = collection.manifest.sort_index()
        if manifest[["role", "official"]].isna().all(axis=None):
            roles = pd.Series("test", index=manifest.index, name="role", dtype="str")
        else:
            roles = assign_roles(manifest)
        kept = roles[roles == "test"]
        if kept.empty:
            raise UsageError(
                f"The data set '{collection.name}' has no test images at hand; add some, or leave out "
                "--test-dataset."
            )
        classes = self._both(collection)
        boxes = collection.boxes
        chosen = boxes["image_id"].isin(kept.index) & boxes["finding"].isin(classes)
        left = replace(
            collection,
            task=Task(self.task.kind, classes),
            manifest=manifest.loc[kept.index],
            labels=collection.labels.loc[kept.index, list(classes)],
            boxes=boxes[chosen],
        )
        return Selected(left, kept, 0, 0)

    def _both(self, collection: Collection) -> tuple[str, ...]:
        theirs = collection.task
        both = tuple(name for name in self.task.classes if name in theirs.classes)
        if theirs.kind != self.task.kind:
            raise UsageError(
                f"The test data set '{collection.name}' is {theirs.kind}, but the network is trained on "
                f"{self.task.kind} labels; test it on data of the same kind."
            )
        if theirs.kind == "singlelabel" and len({len(both), len(self.task.classes), len(theirs.classes)}) > 1:
            raise UsageError(
                f"The test data set '{collection.name}' has other classes than those trained on; a "
                "single-label network needs the same ones."
            )
        if not both:
            raise UsageError(
                f"The test data set '{collection.name}' has none of the findings trained on "
                f"({', '.join(self.task.classes)}); name its findings like those, or take other data."
            )
        return both


def unmapped(classes: Sequence[str], others: Sequence[str]) -> list[str]:
    """Which of the classes are not among the others."""
    return [name for name in classes if name not in others]


def external_passport(own: Passport, test: Passport) -> Passport:
    """The passport of a run that is tested on other data: its test set's, and how its own roles were given.

    Whether a patient of the other data was trained on cannot be known from ids of two schemes: None.
    """
    return replace(
        test,
        roles=own.roles,
        images={**own.images, "test": test.images["test"]},
        patients={**own.patients, "test": test.patients["test"]},
        shared_patients={
            pair: None if "test" in pair.split("/") else count for pair, count in own.shared_patients.items()
        },
        tune=own.tune,
        split=own.split,
        sampler=own.sampler,
        excluded=own.excluded,
    )
