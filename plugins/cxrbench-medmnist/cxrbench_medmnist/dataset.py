"""MedMNIST's chest radiographs: an ``.npz`` file with arrays of images and of labels for each split."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from cxrbench.collection import MANIFEST_COLUMNS, Collection
from cxrbench.datasets.tables import no_boxes
from cxrbench.decoding import grey_image
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.npz_rows import stack_of
from cxrbench.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "chestmnist": ("ChestMNIST", NIH_FINDINGS),
    "pneumoniamnist": ("PneumoniaMNIST", ("Pneumonia",)),
}
"""What tables call a set, and its labels; ChestMNIST's columns are in the order of the ChestX-ray14 paper."""

OFFICIAL = {"train": "train_val", "val": "train_val", "test": "test"}
"""MedMNIST's splits as the lists that roles are given from."""

_SIDES = {side * side: side for side in (28, 64, 128, 224)}
"""By how many bytes an image of the file has."""

_FILES = (b"\x89PNG", b"\xff\xd8\xff", b"BM", b"II*", b"MM\0*")
"""How files of images begin, which are read where a network is used on others than MedMNIST's."""

_NOTE = (
    "MedMNIST names no patients: every image counts as a patient of its own. Intervals are too narrow where "
    "patients have several, and whether a patient is in two roles is not known."
)


@dataclass(frozen=True, kw_only=True)
class MedMnist:
    """A set of MedMNIST with chest radiographs (:class:`cxrbench.interfaces.Dataset`).

    Test is MedMNIST's own; train and val together are what train, val and tune are made of.

    Attributes:
        name: as MedMNIST spells it: ``chestmnist``.
        size: side of the images in pixels, 28, 64, 128 or 224, which names the file: ``chestmnist.npz``,
            ``chestmnist_64.npz``.

    Raises:
        UsageError: there is no such set, or none of that size.
    """

    name: str
    size: int = 28

    def __post_init__(self) -> None:
        if self.name not in SETS:
            near = difflib.get_close_matches(self.name, SETS, n=1)
            hint = f"did you mean medmnist/{near[0]}?" if near else f"there are {', '.join(SETS)}."
            raise UsageError(f"There are no chest radiographs in MedMNIST's '{self.name}'; {hint}")
        if self.size not in _SIDES.values():
            sides = ", ".join(map(str, _SIDES.values()))
            raise UsageError(f"medmnist/{self.name} has no images of {self.size} px; there are {sides}.")

    @property
    def file(self) -> str:
        """The name of the file, as it is downloaded."""
        return f"{self.name}.npz" if self.size == 28 else f"{self.name}_{self.size}.npz"

    def recommend(self) -> Mapping[str, object]:
        """The whole image at its own size; that of 28 px enlarged, as networks halve it five times."""
        return {"image_size": max(self.size, 64), "crop": 1.0, "weights": "imagenet", "batch_size": 128}

    def read(self, root: Path | None) -> Collection:
        """Read labels, and how many images there are; images themselves are not.

        Raises:
            UsageError: no folder was given.
            CxrbenchError: the file is missing, damaged, or not one of this set.
        """
        if root is None:
            raise UsageError(f"medmnist/{self.name} needs --data-root DIR, the folder of {self.file}.")
        path = root / self.file
        if not path.is_file():
            raise CxrbenchError(f"There is no {path}; download it from https://zenodo.org/records/10519652.")
        shown, classes = SETS[self.name]
        labels = {split: self._labels(path, split) for split in OFFICIAL}
        rows = [(split, row) for split in OFFICIAL for row in range(len(labels[split]))]
        ids = [f"{split}_{row:06d}" for split, row in rows]
        index = pd.Index(ids, name="image_id", dtype="str")
        manifest = pd.DataFrame(
            {
                "patient_id": ids,
                "age": np.full(len(ids), np.nan),
                "sex": None,
                "view": None,
                "official": [OFFICIAL[split] for split, _ in rows],
                "role": None,
                "source": [f"{self.file}/{split}_images/{row}" for split, row in rows],
            },
            index=index,
            columns=list(MANIFEST_COLUMNS),
        )
        values = np.concatenate(list(labels.values())).astype(np.float32)
        # Not the file: the same labels come with images of four sizes, which one table may compare.
        version = hashlib.sha256(values.tobytes()).hexdigest()[:12]
        return Collection(
            name=shown,
            task=Task("multilabel", classes),
            manifest=manifest,
            labels=pd.DataFrame(values, index=index, columns=list(classes)),
            boxes=no_boxes(),
            label_version=f"MedMNIST {version}",
            listed={name: int((manifest["official"] == name).sum()) for name in ("train_val", "test")},
            notes=(_NOTE,),
        )

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """The image ``[28, 28]``, or of another of MedMNIST's sizes; image files are decoded as such.

        Raises:
            DamagedImageError: the content is neither.
        """
        content = content or b""
        if len(content) in _SIDES and not content.startswith(_FILES):
            own = _SIDES[len(content)]
            return np.frombuffer(content, np.uint8).reshape(own, own)
        return grey_image(content, image_id)

    def _labels(self, path: Path, split: str) -> NDArray[np.integer]:
        """The labels ``[n, classes]`` of a split, 0 or 1, for as many images of this size."""
        try:
            images = stack_of(path, f"{split}_images")
            with np.load(path, allow_pickle=False) as arrays:
                labels: NDArray[np.integer] = arrays[f"{split}_labels"]
        except (KeyError, ValueError, EOFError, OSError, BadZipFile) as error:
            why = " ".join(str(error).split())
            raise CxrbenchError(f"{path} cannot be read ({why}); download it again.") from error
        expected = (len(labels), len(SETS[self.name][1])), (len(labels), self.size, self.size)
        fits = (labels.shape, images.shape) == expected and images.dtype == np.uint8
        if not (fits and labels.dtype.kind in "iub" and np.isin(labels, (0, 1)).all()):
            raise CxrbenchError(
                f"{path} has labels {list(labels.shape)} of images {list(images.shape)} in {split}, not "
                f"those of medmnist/{self.name}:size={self.size}; download it again."
            )
        return labels
