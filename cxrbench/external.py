"""External validation: what of another data set a network can be tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import pandas as pd

from cxrbench.collection import Collection
from cxrbench.data import Data, Passport
from cxrbench.errors import UsageError
from cxrbench.roles import FIT_ROLES, assign_roles
from cxrbench.selection import Selected, Selection
from cxrbench.task import Task


@dataclass(frozen=True)
class ExternalTest(Selection):
    """The test images of another data set, with the findings that a network was trained on, matched by name.

    All of its images are for testing where it has neither official lists nor roles of its own. Exclusions and
    labels that are laid over are those of the run: they hold for both data sets. Split and sampler are not
    used: what a network is tested on does not depend on how it was trained.

    Attributes:
        task: what the network was trained on.
    """

    root_option: ClassVar[str] = "--test-data-root"
    task: Task = field(default_factory=lambda: Task("multilabel", ()))

    def of(self, collection: Collection) -> Selected:
        """The test images, and the labels of the findings that both have, in the network's order.

        Raises:
            UsageError: the tasks differ in kind, no finding is in both, there is no test image, or the labels
                that are laid over do not fit.
        """
        manifest = collection.manifest.sort_index()
        if manifest[["role", "official"]].isna().all(axis=None):
            roles = pd.Series("test", index=manifest.index, name="role", dtype="str")
        else:
            roles = assign_roles(manifest)
        tested = roles[roles == "test"]
        kept = tested[~tested.index.isin(list(self.exclude))]
        excluded = len(tested) - len(kept)
        if kept.empty:
            raise UsageError(
                f"The data set '{collection.name}' has no test images at hand; add some, or leave out "
                "--test-dataset."
            )
        whole = collection.only(kept.index)
        asked = self.definition.define(whole.task, whole.labels.to_numpy(np.float64))
        kept = kept[asked.kept]
        if kept.empty:
            raise UsageError(
                f"None of the test images of '{collection.name}' has a place in the task; take other data."
            )
        classes = self._both(collection.name, asked.task)
        left = self._defined(self._relabelled(collection.only(kept.index), f"{collection.name}: "))
        if excluded:
            note = f"Images excluded by name from the test images of {collection.name}: {excluded:,}."
            left = replace(left, notes=(*left.notes, note))
        left = replace(
            left,
            task=Task(self.task.kind, classes),
            labels=left.labels[list(classes)],
            boxes=left.boxes[left.boxes["finding"].isin(classes)],
        )
        placeless = len(asked.kept) - len(kept)
        return Selected(left, kept, collection.manifest.index, excluded, 0, placeless)

    def _both(self, name: str, theirs: Task) -> tuple[str, ...]:
        both = tuple(each for each in self.task.classes if each in theirs.classes)
        if theirs.kind != self.task.kind:
            raise UsageError(
                f"The test data set '{name}' is {theirs.kind}, but the network is trained on "
                f"{self.task.kind} labels; test it on data of the same kind."
            )
        if theirs.kind == "singlelabel" and len({len(both), len(self.task.classes), len(theirs.classes)}) > 1:
            raise UsageError(
                f"The test data set '{name}' has other classes than those trained on; a "
                "single-label network needs the same ones."
            )
        if not both:
            raise UsageError(
                f"The test data set '{name}' has none of the findings trained on "
                f"({', '.join(self.task.classes)}); name its findings like those, or take other data."
            )
        return both


def unmapped(classes: Sequence[str], others: Sequence[str]) -> list[str]:
    """Which of the classes are not among the others."""
    return [name for name in classes if name not in others]


def patients_seen(
    own: Data, test: Data, pixels: tuple[pd.Series[str], pd.Series[str]] | None = None
) -> dict[str, int | None]:
    """How many patients of another data set's test images each role has that trains or fits.

    Patients are compared by id where both data sets name them alike (:attr:`cxrbench.data.Data.scheme`).
    Whatever they are called, a patient is seen who has an image in both: the same file, drawing or pixels.

    Args:
        own: what is trained and fitted on.
        test: what is tested on.
        pixels: identity of each image's pixels, by image id of ``own`` and of ``test``; None: not known.

    Returns:
        ``{"train/test": 0, ...}``; None where patients are named differently and no image is in both, since
        then it cannot be known.
    """
    tested = test.patients("test")
    identities = [(own.origins, test.origins), *([pixels] if pixels else [])]
    alike = own.scheme == test.scheme
    seen: dict[str, int | None] = {}
    for role in FIT_ROLES:
        patients = set(tested) & set(own.patients(role)) if alike else set()
        for ours, theirs in identities:
            held = set(ours.loc[own.image_ids(role)])
            patients |= set(tested[theirs.loc[tested.index].map(held.__contains__).astype(bool)])
        seen[f"{role}/test"] = len(patients) if patients or alike else None
    return seen


def external_passport(own: Passport, test: Passport, seen: Mapping[str, int | None]) -> Passport:
    """The passport of a run that is tested on other data: its test set's, and how its own roles were given.

    ``seen`` is what :func:`patients_seen` says.
    """
    return replace(
        test,
        roles=own.roles,
        images={**own.images, "test": test.images["test"]},
        patients={**own.patients, "test": test.patients["test"]},
        shared_patients={**own.shared_patients, **seen},
        tune=own.tune,
        split=own.split,
        sampler=own.sampler,
        excluded=own.excluded + test.excluded,
    )
