"""A data set opened for a run: its images by role, the only way to its labels, and its passport."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cxrbench.canonical import digest
from cxrbench.collection import Collection
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.interfaces import Dataset
from cxrbench.matrices import read_matrix, write_matrix
from cxrbench.roles import ROLES, Role, require_fit_role, shared_patients
from cxrbench.selection import Selection
from cxrbench.sources import read_source, source_stamp
from cxrbench.store import Step, Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACTS = ("age", "sex", "view")
"""Columns of the manifest that subgroups of patients are made of."""

Purpose = Literal["fit", "evaluate"]


@dataclass(frozen=True)
class Passport:
    """Which images a run was tested on, and how clean that test is.

    Two runs may stand in one ranking only where ``id`` is the same.

    Attributes:
        dataset: name of the data set.
        test_ids: hash of the sorted ids of the test images.
        roles: hash of the map from image id to role.
        label_version: which labels.
        labels: hash of the test labels themselves.
        images: how many images each role has.
        patients: how many patients each role has.
        shared_patients: patients with images in both roles of a pair; leaks where not 0, None where not
            known, the roles being of two data sets that name patients differently.
        tune: the role that calibration and thresholds were fitted on.
        split: how the roles were given.
        sampler: what left out images before that, with its options; ``none`` where nothing did.
        excluded: how many images were left out by name.
        drawn: whether the images are drawn and show no patients.
    """

    dataset: str
    test_ids: str
    roles: str
    label_version: str
    labels: str
    images: dict[str, int]
    patients: dict[str, int]
    shared_patients: dict[str, int | None]
    tune: str
    split: str
    sampler: str
    excluded: int
    drawn: bool

    @property
    def id(self) -> str:
        """What must agree between runs that are ranked together: test images and their labels."""
        return digest([self.test_ids, self.labels])[:12]

    def trained_elsewhere(self) -> Passport:
        """That of a run of what others trained: whether its patients were among theirs is not known."""
        shared = {
            pair: None if {"train", "val"} & set(pair.split("/")) else count
            for pair, count in self.shared_patients.items()
        }
        return replace(self, shared_patients=shared)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"id": self.id, **vars(self)}


class Data:
    """A data set's images by role. Labels leave only through :meth:`labels`, which logs each read."""

    def __init__(
        self,
        dataset: Dataset,
        identity: Mapping[str, Any],
        root: Path | None,
        store: Store,
        selection: Selection | None = None,
    ) -> None:
        """Read the tables; nothing is written before :meth:`publish`.

        ``identity`` is what the data set contributes to keys (name, version, options).

        Raises:
            CxrbenchError: the data set cannot be read.
            UsageError: the labels or the sampler of the selection do not fit the data set.
        """
        self.dataset = dataset
        self._identity = dict(identity)
        self._root = root
        self._store = store
        self._selection = selection or Selection()
        whole = self._read()
        self._selected = self._selection.of(whole)
        self._collection = self._selected.collection
        self.name, self.task = whole.name, self._collection.task
        self.classes = whole.task.classes
        self.listed, self.notes = whole.listed, self._collection.notes
        self.manifest, self.roles = self._collection.manifest, self._selected.roles
        self._label_steps = {role: self._label_step(role) for role in ROLES}
        content = _hash_frame(self.manifest.assign(role=self.roles))
        self.manifest_step = Step("manifest", {"schema": 2, "dataset": self.name, "content": content})

    def _read(self) -> Collection:
        try:
            return self.dataset.read(self._root)
        except CxrbenchError as error:
            # A data set does not know for what it is read.
            error.args = (str(error).replace("--data-root", self._selection.root_option),)
            raise

    def image_ids(self, role: Role) -> pd.Index[str]:
        """Sorted ids of the images of a role."""
        return self.manifest.index[self.roles == role]

    def patients(self, role: Role) -> pd.Series[str]:
        """The patient of each image of a role, by image id."""
        return self.manifest.loc[self.image_ids(role), "patient_id"]

    def facts(self, role: Role) -> pd.DataFrame:
        """Age, sex and view of each image of a role, by image id, as the manifest has them."""
        return self.manifest.loc[self.image_ids(role), list(FACTS)]

    def label_step(self, role: Role) -> Step:
        """The step that holds a role's labels; its key follows from their content."""
        return self._label_steps[role]

    def publish(self, *also: Role) -> None:
        """Put the manifest and each role's labels into the store, where they are not there yet.

        Roles without images have none to be put there, but for those that are ``also`` read.

        Where labels decided which images are left or which role they have, that is logged as a read.
        """
        self._store.ensure(self.manifest_step, self._write_manifest)
        for role in (role for role in ROLES if role in also or (self.roles == role).any()):
            step = self._label_steps[role]
            self._store.ensure(step, partial(self._write_labels, role))
            for reader, purpose in self._readers_before():
                self._store.log_label_read(role, step.id, reader, purpose)

    def labels(self, role: Role, reader: str, purpose: Purpose) -> NDArray[np.float64]:
        """The labels ``[n, classes]`` of a role in the order of :meth:`image_ids`; 1, 0 or NaN.

        Every read is logged in the store with its ``reader`` (a step's id) and ``purpose``.

        Raises:
            CxrbenchError: the test role is read in order to fit something.
        """
        if purpose == "fit":
            require_fit_role(role, reader)
        step = self._label_steps[role]
        labels = read_matrix(self._store.read(step.id).folder / "labels.parquet")
        self._store.log_label_read(role, step.id, reader, purpose)
        return labels

    def boxes(self, role: Role, reader: str, purpose: Purpose) -> pd.DataFrame:
        """The annotated boxes of a role's images, of the task's classes; see :class:`Collection`.

        Every read is logged as one of the role's labels, which a box tells.

        Raises:
            CxrbenchError: the test role is read in order to fit something.
        """
        if purpose == "fit":
            require_fit_role(role, reader)
        boxes = self._collection.boxes
        mine = set(self.image_ids(role).tolist())
        chosen = boxes[boxes["image_id"].map(mine.__contains__).astype(bool)]
        self._store.log_label_read(role, self._label_steps[role].id, reader, purpose)
        return chosen[chosen["finding"].isin(self.task.classes)].reset_index(drop=True)

    def require_roles(self, *roles: Role) -> None:
        """Refuse a run that needs roles without images.

        Raises:
            CxrbenchError: one of the roles has no images.
        """
        empty = [role for role in roles if not (self.roles == role).any()]
        if not empty:
            return
        if self.manifest["role"].notna().any():
            remedy = "give images these roles in its table"
        elif self.manifest["official"].notna().any():
            remedy = "add images of both official lists, from more patients"
        else:
            remedy = "add images of more patients"
        raise CxrbenchError(
            f"The data set '{self.name}' has no images for {' and '.join(empty)} (of {len(self.roles)} at "
            f"hand, split '{self._selection.split}'); {remedy}, or give another --split."
        )

    def require_matches(self, test: Data) -> None:
        """Refuse exclusions and labels laid over that are of neither data set of a run.

        Raises:
            UsageError: see :meth:`cxrbench.selection.Selection.require_matches`.
        """
        self._selection.require_matches(self._selected, test._selected)

    def require_tune(self, tune: Role) -> None:
        """Refuse a run whose thresholds have no images to be fitted on.

        Raises:
            UsageError: the role has no images.
        """
        if not (self.roles == tune).any():
            raise UsageError(
                f"The data set '{self.name}' has no images for {tune} with the split "
                f"'{self._selection.split}'; give --tune val, or another --split."
            )

    def passport(self, tune: Role) -> Passport:
        """The passport of a run that fits thresholds on ``tune``."""
        return Passport(
            dataset=self.name,
            test_ids=digest(self.image_ids("test").tolist()),
            roles=digest(as_dict(self.roles)),
            label_version=self._collection.label_version,
            labels=self._label_steps["test"].inputs["content"],
            images={role: int((self.roles == role).sum()) for role in ROLES},
            patients={role: int(self.patients(role).nunique()) for role in ROLES},
            shared_patients=dict(shared_patients(self.manifest, self.roles)),
            tune=tune,
            split=self._selection.split,
            sampler=self._selection.sampler_name if self._selected.sampled_out else "none",
            excluded=self._selected.excluded,
            drawn=self._collection.drawn,
        )

    def sources(self, image_ids: pd.Index[str]) -> list[tuple[str, str]]:
        """(image id, path below the data root) of each image; the path is empty for drawn ones."""
        return list(zip(image_ids.tolist(), self.manifest.loc[image_ids, "source"].tolist(), strict=True))

    def content(self, source: str) -> bytes | None:
        """The bytes of the file at a source, from any thread; None for drawn images, whose source is empty.

        Raises:
            CxrbenchError: the file is missing or cannot be read.
            DamagedImageError: its bytes in a zip file are damaged.
        """
        return read_source(self._folder, source) if source else None

    def stamp(self, source: str) -> tuple[int, int]:
        """Size in bytes and modification time in ns of the file at a source: while they stay, so does it.

        Raises:
            CxrbenchError: the file is missing.
        """
        return source_stamp(self._folder, source)

    def decode(self, image_id: str, content: bytes | None, side: int) -> NDArray[np.uint8]:
        """One image as the data set gives it, greyscale ``[height, width]``, from any thread.

        Raises:
            DamagedImageError: the content is not the image that it should be.
        """
        return self.dataset.pixels(content, image_id, side)

    def drawn_identity(self, image_id: str) -> str:
        """What stands for the pixels of an image that has no file: who draws it, and its id."""
        return digest([self._identity, image_id])

    @cached_property
    def origins(self) -> pd.Series[str]:
        """Where each image comes from, by image id: its file, or who draws it."""
        ids, folder = self.manifest.index, self._root and self._root.resolve()
        origins = (
            f"{folder}/{source}" if source else self.drawn_identity(image_id)
            for image_id, source in self.sources(ids)
        )
        return pd.Series(list(origins), index=ids, dtype="str")

    @property
    def scheme(self) -> tuple[str, str]:
        """What the ids of patients are of: data sets of one scheme name a patient alike."""
        if self._root is None or self._collection.drawn:
            return self.name, digest(self._identity)
        return self.name, str(self._root.resolve())

    @property
    def has_images(self) -> bool:
        """Whether its images can be looked at: they have files, or are drawn."""
        return self._collection.drawn or bool((self.manifest["source"] != "").any())

    @property
    def root(self) -> Path | None:
        """The folder that sources are relative to."""
        return self._root

    @property
    def _folder(self) -> Path:
        if self._root is None:
            raise CxrbenchError(
                f"The data set '{self.name}' names files; give {self._selection.root_option} their folder."
            )
        return self._root

    def patient_vectors(self, image_ids: pd.Index[str]) -> NDArray[np.float32]:
        """``[n, 3]``, as :func:`patient_vectors` makes them of the manifest."""
        return patient_vectors(self.manifest.loc[image_ids])

    def require_sound(self) -> None:
        """Refuse data with a serious problem, see :meth:`cxrbench.collection.Collection.require_sound`."""
        self._collection.require_sound()

    def _readers_before(self) -> list[tuple[str, str]]:
        """Who read labels, and what for, before there were roles."""
        readers = []
        if self._selected.without_place:
            readers.append(("task", "place"))
        if self._selected.sampled_out:
            readers.append((f"sampler/{self._selection.sampler_name}", "subset"))
        if self._selection.split == "image":
            readers.append(("split/image", "stratify"))
        return readers

    def _label_step(self, role: Role) -> Step:
        labels = self._collection.labels.loc[self.image_ids(role)]
        # No version: labels that stay as they are keep their key, whatever else of a table changes.
        return Step("labels", {"schema": 1, "role": role, "content": _hash_frame(labels)})

    def _write_manifest(self, folder: Path) -> None:
        self.manifest.assign(role=self.roles).reset_index().to_parquet(
            folder / "manifest.parquet", index=False
        )

    def _write_labels(self, role: Role, folder: Path) -> None:
        labels = self._collection.labels.loc[self.image_ids(role)]
        write_matrix(labels, folder / "labels.parquet")


def patient_vectors(facts: pd.DataFrame) -> NDArray[np.float32]:
    """``[n, 3]``: age / 100 clipped to 0..1, view (PA 0, AP 1), sex (M 0, F 1); .5 where unknown.

    Args:
        facts: columns ``age`` in years, ``view`` and ``sex``; NaN or None where unknown.
    """
    age = facts["age"].astype("float64").div(100).clip(0, 1)
    view = facts["view"].map({"PA": 0.0, "AP": 1.0})
    sex = facts["sex"].map({"M": 0.0, "F": 1.0})
    return np.column_stack([column.astype("float64").fillna(0.5) for column in (age, view, sex)]).astype(
        np.float32
    )


def as_dict(column: pd.Series[str]) -> dict[str, Any]:
    """A column by its index; ``to_dict`` takes ten times as long for text."""
    return dict(zip(column.index.tolist(), column.tolist(), strict=True))


def _hash_frame(frame: pd.DataFrame) -> str:
    """A hash of a table's index, columns and values, whatever its row order was before."""
    parts = [list(map(str, frame.columns)), frame.index.tolist()]
    for column in frame.columns:
        cells = zip(frame[column].tolist(), frame[column].notna().tolist(), strict=True)
        parts.append([value if known else None for value, known in cells])
    return digest(parts)
