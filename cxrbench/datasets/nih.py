"""NIH ChestX-ray14 as downloaded, whole or in part.

Wang et al. 2017, "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised
Classification and Localization of Common Thorax Diseases", in its later form with 14 findings.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.collection import BOX_COLUMNS, Collection
from cxrbench.decoding import grey_image
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.files import sha256
from cxrbench.findings import NIH_FINDINGS, NO_FINDING, canonical_finding
from cxrbench.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGE_FOLDERS = ("images", *(f"images_{part:03d}/images" for part in range(1, 13)))
"""Where the images lie, put together or as the twelve parts unpack."""
OFFICIAL_LISTS = {"train_val": "train_val_list.txt", "test": "test_list.txt"}
LABEL_TABLES = "Data_Entry_2017*.csv"
BOX_TABLE = "BBox_List_2017.csv"
BOX_SIDE = 1024.0
"""Boxes are in pixels of the 1024 × 1024 images that were published."""
OLDEST_AGE = 120.0
"""The older label tables have ages such as 411 years."""

_LAYOUT = (
    f"--data-root is the folder with {LABEL_TABLES}, {' and '.join(OFFICIAL_LISTS.values())}, and images/ or "
    "images_001/ to images_012/"
)
_ID, _LABELS, _PATIENT, _AGE, _VIEW = (
    "Image Index",
    "Finding Labels",
    "Patient ID",
    "Patient Age",
    "View Position",
)
_SEX = ("Patient Gender", "Patient Sex")
"""Copies of the table have either name."""
_AGE_TEXT = re.compile(r"([0-9]+)([YMD]?)")
_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}


@dataclass(frozen=True, kw_only=True)
class Nih:
    """NIH ChestX-ray14: 112,120 frontal radiographs, 14 findings (:class:`cxrbench.interfaces.Dataset`)."""

    def recommend(self) -> Mapping[str, object]:
        """Fine-tuning from ImageNet at 224 pixels."""
        return {
            "image_size": 224,
            "weights": "imagenet",
            "epochs": 15,
            "batch_size": 32,
            "learning_rate": 1e-4,
            "schedule": "plateau",
        }

    def read(self, root: Path | None) -> Collection:
        """Read the tables of the images that are at hand and in an official list.

        Raises:
            CxrbenchError: a file is missing or not what it should be; the sentence names it.
        """
        folder = _require_root(root)
        lists = _official_lists(folder)
        table_path = _label_table(folder)
        table = _read_label_table(table_path)
        sources = _sources(folder)

        # Plain sets: pandas' isin takes seconds on text.
        official = {image_id: name for name, ids in lists.items() for image_id in ids}
        listed = [image_id for image_id in sorted(sources) if image_id in official]
        known = set(table.index)
        ids = pd.Index([image_id for image_id in listed if image_id in known], name="image_id", dtype="str")
        if ids.empty:
            raise CxrbenchError(f"None of the images that the lists in {folder} name is there; {_LAYOUT}.")
        table = table.loc[ids]
        age = _ages(table[_AGE])
        manifest = pd.DataFrame(
            {
                "patient_id": table[_PATIENT].str.strip(),
                "age": age,
                "sex": _one_of(table["sex"], "M", "F"),
                "view": _one_of(table[_VIEW], "PA", "AP"),
                "official": [official[image_id] for image_id in ids],
                "role": None,
                "source": [sources[image_id] for image_id in ids],
            },
            index=ids,
        )
        return Collection(
            name="NIH ChestX-ray14",
            task=Task("multilabel", NIH_FINDINGS),
            manifest=manifest,
            labels=_label_matrix(table[_LABELS], table_path),
            boxes=_read_boxes(folder / BOX_TABLE, ids),
            label_version=f"{table_path.name} {sha256(table_path)[:12]}",
            listed={name: len(names) for name, names in lists.items()},
            notes=_notes(
                here=len(ids),
                listed=len(official),
                unlisted=len(sources) - len(listed),
                unlabelled=len(listed) - len(ids),
                ageless=int(age.isna().sum()),
            ),
        )

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """The image as greyscale ``[height, width]`` at its own size (:func:`cxrbench.decoding.grey_image`).

        Raises:
            DamagedImageError: the content is not an image, or not the whole of it.
        """
        return grey_image(content or b"", image_id)


def _require_root(root: Path | None) -> Path:
    if root is None:
        raise UsageError(f"The data set nih needs --data-root DIR; {_LAYOUT}.")
    if not root.is_dir():
        raise UsageError(f"There is no folder {root}; {_LAYOUT}.")
    return root


def _official_lists(folder: Path) -> dict[str, list[str]]:
    lists = {}
    for name, filename in OFFICIAL_LISTS.items():
        path = folder / filename
        if not path.is_file():
            raise CxrbenchError(f"{filename} is missing in {folder}, download it with the images; {_LAYOUT}.")
        lists[name] = path.read_text(encoding="utf-8-sig").split()
        if len(set(lists[name])) < len(lists[name]):
            raise CxrbenchError(f"{path} names some images twice; download it again.")
    both = set(lists["train_val"]) & set(lists["test"])
    if both:
        raise CxrbenchError(
            f"{len(both)} images, such as {min(both)}, stand in both {' and '.join(OFFICIAL_LISTS.values())} "
            f"in {folder}; download the lists again."
        )
    return lists


def _label_table(folder: Path) -> Path:
    paths = sorted(folder.glob(LABEL_TABLES))
    if not paths:
        raise CxrbenchError(f"{LABEL_TABLES} is missing in {folder}; {_LAYOUT}.")
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise CxrbenchError(f"{folder} holds {names}, whose labels differ; leave only one of them there.")
    return paths[0]


def _read_label_table(path: Path) -> pd.DataFrame:
    """The table as text, indexed by image id, with the column of the sex named ``sex``."""
    required = (_ID, _LABELS, _PATIENT, _AGE, _VIEW)
    try:
        table = pd.read_csv(
            path, usecols=lambda name: name in (*required, *_SEX), dtype=str, encoding="utf-8-sig"
        )
    except (ValueError, OSError) as error:
        raise CxrbenchError(f"{path} cannot be read as a table ({error}); download it again.") from error
    sex = next((name for name in _SEX if name in table), _SEX[0])
    for name in (*required, sex):
        if name not in table:
            raise CxrbenchError(f"{path} has no column '{name}'; download it again.")
    table = table.set_index(_ID).rename(columns={sex: "sex"})
    if not table.index.is_unique:
        raise CxrbenchError(
            f"{path} has image {table.index[table.index.duplicated()][0]} twice; download it again."
        )
    if table[[_LABELS, _PATIENT]].isna().any(axis=None):
        raise CxrbenchError(f"{path} has rows without labels or patient; download it again.")
    return table


def _sources(folder: Path) -> dict[str, str]:
    """Path below ``folder`` of each PNG, by image id; the first folder wins where two hold the same."""
    sources: dict[str, str] = {}
    for name in IMAGE_FOLDERS:
        if (folder / name).is_dir():
            with os.scandir(folder / name) as entries:
                for entry in entries:
                    if entry.name.endswith(".png"):
                        sources.setdefault(entry.name, f"{name}/{entry.name}")
    return sources


def _label_matrix(label_strings: pd.Series[str], path: Path) -> pd.DataFrame:
    """Labels ``[n, 14]`` of strings such as ``Cardiomegaly|Emphysema``, worked out once for each string."""
    codes, strings = pd.factorize(label_strings)
    rows = np.zeros((len(strings), len(NIH_FINDINGS)), dtype=np.float32)
    for row, string in zip(rows, strings, strict=True):
        for text in string.split("|"):
            finding = canonical_finding(text)
            if finding is not None:
                row[NIH_FINDINGS.index(finding)] = 1
            elif text.strip() != NO_FINDING:
                raise CxrbenchError(
                    f"{path} has the label '{text}', which is none of the 14 findings; correct the table or "
                    "download it again."
                )
    return pd.DataFrame(rows[codes], index=label_strings.index, columns=list(NIH_FINDINGS))


def _ages(texts: pd.Series[str]) -> pd.Series[float]:
    """Ages in years, worked out once for each text; NaN where unknown or implausible."""
    return texts.map({text: _years(str(text)) for text in texts.unique()}).astype("float64")


def _years(text: str) -> float:
    """Years of ``58`` or, in older tables, ``058Y``, ``009M``, ``003D``."""
    match = _AGE_TEXT.fullmatch(text.strip())
    years = int(match[1]) * _YEARS_PER_UNIT[match[2] or "Y"] if match else math.nan
    return years if years <= OLDEST_AGE else math.nan


def _one_of(texts: pd.Series[str], *known: str) -> pd.Series[str]:
    texts = texts.str.strip().astype(object)
    return texts.where(texts.isin(known), None)


def _read_boxes(path: Path, ids: pd.Index[str]) -> pd.DataFrame:
    """The boxes of these images as shares of the image's side; none where the table is not there.

    The header splits ``Bbox [x,y,w,h]`` over four columns and adds empty ones: read by position.
    """
    if not path.is_file():
        return pd.DataFrame(
            {name: pd.Series(dtype=object if name in BOX_COLUMNS[:2] else "float64") for name in BOX_COLUMNS}
        )
    sides = list(BOX_COLUMNS[2:])
    try:
        boxes = pd.read_csv(path, header=None, skiprows=1, usecols=range(6), names=list(BOX_COLUMNS))
        boxes[sides] = boxes[sides].astype("float64") / BOX_SIDE
    except (ValueError, OSError) as error:
        raise CxrbenchError(
            f"{path} cannot be read as a table of boxes ({error}); download it again."
        ) from error
    boxes = boxes[boxes["image_id"].map(set(ids).__contains__)].reset_index(drop=True)
    findings = boxes["finding"].map(lambda text: canonical_finding(str(text)))
    if findings.isna().any():
        unknown = boxes["finding"][findings.isna()].iloc[0]
        raise CxrbenchError(
            f"{path} has a box of '{unknown}', which is none of the 14 findings; download it again."
        )
    return boxes.assign(finding=findings)


def _notes(*, here: int, listed: int, unlisted: int, unlabelled: int, ageless: int) -> tuple[str, ...]:
    sentences = (
        (here < listed, f"{here:,} of the {listed:,} listed images are here."),
        (unlisted > 0, f"Images in neither official list: {unlisted:,}; they are left out."),
        (
            unlabelled > 0,
            f"Listed images without a row in the label table: {unlabelled:,}; they are left out.",
        ),
        (
            ageless > 0,
            f"Images without an age up to {OLDEST_AGE:.0f} years: {ageless:,}; it counts as unknown.",
        ),
    )
    return tuple(sentence for applies, sentence in sentences if applies)
