"""A data set opened for a run: its images by role, the only way to its labels, and its passport."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from cxrbench.canonical import digest
from cxrbench.collection import Collection
from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import Dataset
from cxrbench.matrices import read_matrix, write_matrix
from cxrbench.roles import ROLES, Role, assign_roles, require_fit_role, shared_patients
from cxrbench.sources import read_source, source_stamp
from cxrbench.store import Step, Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        shared_patients: patients with images in both roles of a pair; leaks where not 0.
        tune: the role that calibration and thresholds were fitted on.
    """

    dataset: str
    test_ids: str
    roles: str
    label_version: str
    labels: str
    images: dict[str, int]
    patients: dict[str, int]
    shared_patients: dict[str, int]
    tune: str

    @property
    def id(self) -> str:
        """What must agree between runs that are ranked together: test images and their labels."""
        return digest([self.test_ids, self.labels])[:12]

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"id": self.id, **vars(self)}


class Data:
    """A data set's images by role. Labels leave only through :meth:`labels`, which logs each read."""

    def __init__(
        self, dataset: Dataset, identity: Mapping[str, Any], root: Path | None, store: Store
    ) -> None:
        """Read the tables; nothing is written before :meth:`publish`.

        ``identity`` is what the data set contributes to keys (name, version, options).
        """
        self._dataset = dataset
        self._identity = dict(identity)
        self._root = root
        self._store = store
        collection = dataset.read(root)
        self.name, self.task = collection.name, collection.task
        self.boxes, self.listed, self.notes = collection.boxes, collection.listed, collection.notes
        self.manifest = collection.manifest.sort_index()
        self.roles = assign_roles(self.manifest)
        self._unpublished = collection.labels.sort_index()
        self._label_version = collection.label_version
        self._label_steps = {role: self._label_step(role) for role in ROLES}
        content = [_hash_frame(self.manifest.assign(role=self.roles)), _hash_frame(self.boxes)]
        self.manifest_step = Step("manifest", {"schema": 1, "dataset": self.name, "content": content})
        _require_every_role(collection, self.roles)

    def image_ids(self, role: Role) -> pd.Index[str]:
        """Sorted ids of the images of a role."""
        return self.manifest.index[self.roles == role]

    def patients(self, role: Role) -> pd.Series[str]:
        """The patient of each image of a role, by image id."""
        return self.manifest.loc[self.image_ids(role), "patient_id"]

    def label_step(self, role: Role) -> Step:
        """The step that holds a role's labels; its key follows from their content."""
        return self._label_steps[role]

    def publish(self) -> None:
        """Put the manifest and each role's labels into the store, where they are not there yet."""
        self._store.ensure(self.manifest_step, self._write_manifest)
        for role in ROLES:
            self._store.ensure(self._label_steps[role], partial(self._write_labels, role))

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

    def passport(self, tune: Role) -> Passport:
        """The passport of a run that fits thresholds on ``tune``."""
        return Passport(
            dataset=self.name,
            test_ids=digest(list(self.image_ids("test"))),
            roles=digest(self.roles.to_dict()),
            label_version=self._label_version,
            labels=self._label_steps["test"].inputs["content"],
            images={role: int((self.roles == role).sum()) for role in ROLES},
            patients={role: int(self.patients(role).nunique()) for role in ROLES},
            shared_patients=shared_patients(self.manifest, self.roles),
            tune=tune,
        )

    def sources(self, image_ids: pd.Index[str]) -> list[tuple[str, str]]:
        """(image id, path below the data root) of each image; the path is empty for drawn ones."""
        return list(zip(image_ids, self.manifest.loc[image_ids, "source"], strict=True))

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
        return self._dataset.pixels(content, image_id, side)

    def drawn_identity(self, image_id: str) -> str:
        """What stands for the pixels of an image that has no file: who draws it, and its id."""
        return digest([self._identity, image_id])

    @property
    def root(self) -> Path | None:
        """The folder that sources are relative to."""
        return self._root

    @property
    def _folder(self) -> Path:
        if self._root is None:
            raise CxrbenchError(f"The data set '{self.name}' names files; give --data-root their folder.")
        return self._root

    def patient_vectors(self, image_ids: pd.Index[str]) -> NDArray[np.float32]:
        """``[n, 3]``: age / 100 clipped to 0..1, view (PA 0, AP 1), sex (M 0, F 1); .5 where unknown."""
        rows = self.manifest.loc[image_ids]
        age = rows["age"].astype("float64").div(100).clip(0, 1)
        view = rows["view"].map({"PA": 0.0, "AP": 1.0})
        sex = rows["sex"].map({"M": 0.0, "F": 1.0})
        return np.column_stack([column.astype("float64").fillna(0.5) for column in (age, view, sex)]).astype(
            np.float32
        )

    def _label_step(self, role: Role) -> Step:
        labels = self._unpublished.loc[self.image_ids(role)]
        return Step(
            "labels",
            {"schema": 1, "role": role, "version": self._label_version, "content": _hash_frame(labels)},
        )

    def _write_manifest(self, folder: Path) -> None:
        self.manifest.assign(role=self.roles).reset_index().to_parquet(
            folder / "manifest.parquet", index=False
        )
        self.boxes.to_parquet(folder / "boxes.parquet", index=False)

    def _write_labels(self, role: Role, folder: Path) -> None:
        labels = self._unpublished.loc[self.image_ids(role)]
        write_matrix(labels, folder / "labels.parquet")


def _hash_frame(frame: pd.DataFrame) -> str:
    """A hash of a table's index, columns and values, whatever its row order was before."""
    parts = [list(map(str, frame.columns)), list(frame.index)]
    parts += [
        [None if pd.isna(value) else value for value in frame[column].tolist()] for column in frame.columns
    ]
    return digest(parts)


def _require_every_role(collection: Collection, roles: pd.Series[str]) -> None:
    empty = [role for role in ROLES if not (roles == role).any()]
    if empty:
        raise CxrbenchError(
            f"The data set '{collection.name}' has no images for {' and '.join(empty)} (of {len(roles)} "
            "at hand); add images of both official lists, from more patients."
        )


def hash_ids(image_ids: pd.Index[str]) -> NDArray[np.uint64]:
    """A 64-bit number ``[n]`` for each image id, the same everywhere: what its randomness derives from."""
    digests = (hashlib.blake2b(image_id.encode(), digest_size=8).digest() for image_id in image_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)
