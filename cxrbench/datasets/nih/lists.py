"""Lists of images: the two official ones, and three that carry roles and labels of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.collection import Oddities
from cxrbench.datasets.nih.files import LAYOUT, OFFICIAL_LISTS
from cxrbench.datasets.tables import add_repeated_rows
from cxrbench.errors import CxrbenchError
from cxrbench.findings import NIH_FINDINGS

LABELLED_LISTS = {"train": "train_list.txt", "val": "val_list.txt", "test": "test_list.txt"}


@dataclass(frozen=True)
class Lists:
    """Which images a data set consists of, by image id (unique).

    Attributes:
        official: ``train_val`` or ``test``.
        role: ``train``, ``val`` or ``test``, or None where the lists do not tell.
        labels: float32, the 14 findings in columns, or None where the label table tells them.
        version: of the labels, empty where there are none.
    """

    official: pd.Series[str]
    role: pd.Series[str]
    labels: pd.DataFrame | None = None
    version: str = ""

    @property
    def listed(self) -> dict[str, int]:
        """How many images each official list names."""
        return {name: int((self.official == name).sum()) for name in OFFICIAL_LISTS}


def official_lists(folder: Path) -> Lists:
    """``train_val_list.txt`` and ``test_list.txt`` as NIH publishes them: image ids, one a line.

    Raises:
        CxrbenchError: a list is missing or no text, or an image is listed twice.
    """
    names: dict[str, str] = {}
    for official, filename in OFFICIAL_LISTS.items():
        path = folder / filename
        if not path.is_file():
            raise CxrbenchError(f"{filename} is missing in {folder}, download it with the images; {LAYOUT}.")
        ids = _text(path).split()
        if len(set(ids)) < len(ids):
            raise CxrbenchError(f"{path} names some images twice; download it again.")
        _require_apart(names, ids, folder, OFFICIAL_LISTS.values())
        names |= dict.fromkeys(ids, official)
    official_of = pd.Series(names, dtype="str")
    return Lists(official_of, pd.Series([None] * len(names), index=official_of.index, dtype=object))


def labelled_lists(folder: Path, oddities: Oddities) -> Lists:
    """``train_list.txt``, ``val_list.txt``, ``test_list.txt``: lines such as ``00011997_000.png 0 0 1 …``.

    Zeros and ones stand for the findings in the order of :data:`cxrbench.findings.NIH_FINDINGS`. The lists
    of CheXNet's reproductions (78,468 / 11,219 / 22,433 images) have this form.

    Raises:
        CxrbenchError: a list is missing or has a line of another form, or an image stands in two lists.
    """
    role_of: dict[str, str] = {}
    ids: list[str] = []
    flags: list[str] = []
    content = hashlib.sha256()
    for role, filename in LABELLED_LISTS.items():
        path = folder / filename
        if not path.is_file():
            raise CxrbenchError(
                f"{filename} is missing in {folder}; lists={folder.name} means a folder with "
                f"{', '.join(LABELLED_LISTS.values())}."
            )
        text = _text(path)
        content.update(text.encode())
        rows = [_row(line, number, path) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        _require_apart(role_of, [image_id for image_id, _ in rows], folder, LABELLED_LISTS.values())
        role_of |= dict.fromkeys((image_id for image_id, _ in rows), role)
        ids += [image_id for image_id, _ in rows]
        flags += [flag for _, flag in rows]
    index = pd.Index(ids, name="image_id", dtype="str")
    codes, distinct = pd.factorize(np.array(flags, dtype=object))
    vectors = np.array([list(map(float, flag)) for flag in distinct], dtype=np.float32).reshape(-1, 14)
    labels = pd.DataFrame(vectors[codes], index=index, columns=list(NIH_FINDINGS))
    told = pd.Series(flags)
    conflicting = add_repeated_rows(oddities, index, told, told.to_frame())
    labels.loc[index.isin(list(conflicting))] = np.nan
    roles = pd.Series(role_of, dtype="str")
    return Lists(
        official=roles.map({"train": "train_val", "val": "train_val", "test": "test"}),
        role=roles,
        labels=labels[~index.duplicated()],
        version=f"train/val/test lists {content.hexdigest()[:12]}",
    )


def _row(line: str, number: int, path: Path) -> tuple[str, str]:
    """Image id and the 14 flags as one text."""
    image_id, *flags = line.split()
    if len(flags) != len(NIH_FINDINGS) or not set(flags) <= {"0", "1"}:
        raise CxrbenchError(
            f"Line {number} of {path} is not an image and {len(NIH_FINDINGS)} zeros or ones; correct it or "
            "download the list again."
        )
    return image_id, "".join(flags)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CxrbenchError(f"{path} cannot be read as text ({error}); download it again.") from error


def _require_apart(known: dict[str, str], ids: list[str], folder: Path, files: Iterable[str]) -> None:
    both = known.keys() & ids
    if both:
        raise CxrbenchError(
            f"{len(both)} images, such as {min(both)}, stand in both {' and '.join(files)} in {folder}; "
            "download the lists again."
        )
