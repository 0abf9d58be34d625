"""NIH ChestX-ray14 as downloaded, whole or in part.

Wang et al. 2017, "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on Weakly-Supervised
Classification and Localization of Common Thorax Diseases", in its later form with 14 findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cxrbench.collection import Collection, Oddities
from cxrbench.datasets.nih.boxes import read_boxes
from cxrbench.datasets.nih.files import BOX_TABLE, LAYOUT, image_sources, label_table, require_root
from cxrbench.datasets.nih.lists import Lists, labelled_lists, official_lists
from cxrbench.datasets.tables import OLDEST_AGE, add_repeated_rows, ages, known_or_none, read_text_table
from cxrbench.decoding import grey_image
from cxrbench.errors import CxrbenchError
from cxrbench.files import sha256
from cxrbench.findings import NIH_FINDINGS, NO_FINDING, canonical_finding
from cxrbench.png import HEADER_BYTES, channels
from cxrbench.sources import read_start
from cxrbench.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS = {
    "Image Index": "image",
    "Finding Labels": "labels",
    "Patient ID": "patient",
    "Patient Age": "age",
    "Patient Gender": "sex",
    "Patient Sex": "sex",
    "View Position": "view",
}
"""Copies of the table have either name of the sex."""


@dataclass(frozen=True, kw_only=True)
class Nih:
    """NIH ChestX-ray14: 112,120 frontal radiographs, 14 findings (:class:`cxrbench.interfaces.Dataset`).

    Attributes:
        lists: a folder, below the data root or absolute, of ``train_list.txt``, ``val_list.txt`` and
            ``test_list.txt`` whose lines are an image and 14 zeros or ones: roles and labels come from
            them, and there is no tune role. Empty: the official lists, and the labels of the label table.
        four_channel: what is done with the few PNGs that hold red, green, blue and opacity: ``convert`` makes
            grey of them, as of any image; ``drop`` leaves them out, as some published work does. They are
            told by the header of each file.
    """

    lists: str = ""
    four_channel: Literal["convert", "drop"] = "convert"

    def recommend(self) -> Mapping[str, object]:
        """Fine-tuning from ImageNet at 224 pixels; thresholds on val where the lists have no tune role."""
        return {
            "image_size": 224,
            "weights": "imagenet",
            "epochs": 15,
            "batch_size": 32,
            "learning_rate": 1e-4,
            "schedule": "plateau",
            **({"tune": "val"} if self.lists else {}),
        }

    def read(self, root: Path | None) -> Collection:
        """Read the tables of the images that are at hand and in a list.

        Raises:
            CxrbenchError: a file is missing or not what it should be; the sentence names it.
        """
        root = require_root(root)
        odd = Oddities()
        table_path = label_table(root)
        lists = labelled_lists(root / self.lists, odd) if self.lists else official_lists(table_path.parent)
        rows = _label_rows(table_path, odd)
        sources = image_sources(root)
        if self.four_channel == "drop":
            four = {name for name, source in sources.items() if _has_four_channels(root, source)}
            odd.add("four_channel_images", four, "Images with four channels: {}; they are left out.")
            sources = {name: source for name, source in sources.items() if name not in four}

        # Plain sets of plain lists: on text, pandas' isin takes seconds, and its iteration 20 times tolist().
        listed, known = set(lists.official.index.tolist()), set(rows["image"].tolist())
        odd.add("unlisted_images", sources.keys() - listed, "Images in no list: {}; they are left out.")
        odd.add(
            "missing_rows",
            (sources.keys() & listed) - known,
            "Listed images without a row in the label table: {}; they are left out.",
        )
        here = sources.keys() & listed & known
        if not here:
            raise CxrbenchError(f"None of the images that the lists in {root} name is there; {LAYOUT}.")
        if len(here) < len(listed):
            odd.notes.insert(0, f"{len(here):,} of the {len(listed):,} listed images are here.")
        rows = rows[rows["image"].map(here.__contains__)]
        return _collection(table_path, rows, lists, sources, odd)

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """The image as greyscale ``[height, width]`` at its own size (:func:`cxrbench.decoding.grey_image`).

        Raises:
            DamagedImageError: the content is not an image, or not the whole of it.
        """
        return grey_image(content or b"", image_id)


def labelled_images(table: Path, lists: Lists | None = None) -> Collection:
    """All images of a label table, whether their files are at hand or not; none has a source.

    Args:
        table: as NIH publishes it.
        lists: the official lists, where they are to tell what is test; images in neither are left out.

    Raises:
        CxrbenchError: the table is missing or not what it should be.
    """
    odd = Oddities()
    rows = _label_rows(table, odd)
    if lists is None:
        nothing = pd.Series([], index=pd.Index([], dtype="str"), dtype=object)
        lists = Lists(nothing, nothing)
    else:
        rows = rows[rows["image"].map(set(lists.official.index).__contains__)]
    return _collection(table, rows, lists, {}, odd)


def _collection(
    table_path: Path, rows: pd.DataFrame, lists: Lists, sources: Mapping[str, str], odd: Oddities
) -> Collection:
    """The images of these rows of the label table."""
    rows = rows.sort_values("image", kind="stable")
    rows = rows.assign(age=_ages(rows, odd))
    labels, rows = _labels(rows, lists, odd)
    ids = labels.index
    return Collection(
        name="NIH ChestX-ray14",
        task=Task("multilabel", NIH_FINDINGS),
        manifest=pd.DataFrame(
            {
                "patient_id": rows["patient"],
                "age": rows["age"],
                "sex": known_or_none(rows["sex"], {"m": "M", "f": "F"}),
                "view": known_or_none(rows["view"], {"pa": "PA", "ap": "AP"}),
                "official": lists.official.reindex(ids),
                "role": lists.role.reindex(ids),
                "source": pd.Series(
                    {image_id: sources.get(image_id, "") for image_id in ids.tolist()}, dtype="str"
                ),
            },
            index=ids,
        ),
        labels=labels,
        boxes=read_boxes(table_path.parent / BOX_TABLE, ids),
        label_version=lists.version or f"{table_path.name} {sha256(table_path)[:12]}",
        listed=lists.listed,
        notes=tuple(odd.notes),
        problems=tuple(odd.problems),
    )


def _has_four_channels(root: Path, source: str) -> bool:
    return channels(read_start(root, source, HEADER_BYTES)) == 4


def _label_rows(path: Path, odd: Oddities) -> pd.DataFrame:
    """The label table as text with the columns image, labels, patient, age, sex, view; complete rows only."""
    table = read_text_table(path)
    table = table[[name for name in _COLUMNS if name in table]].rename(columns=_COLUMNS)
    for name, column in _COLUMNS.items():
        if column not in table:
            raise CxrbenchError(f"{path} has no column '{name}'; download it again.")
    complete = (table[["image", "labels", "patient"]] != "").all(axis=1)
    odd.add(
        "incomplete_rows",
        (image or f"row {number + 2}" for number, image in table["image"][~complete].items()),  # type: ignore[operator]
        "Rows of the label table without image, labels or patient: {}; they are left out.",
    )
    return table[complete]


def _ages(rows: pd.DataFrame, odd: Oddities) -> pd.Series[float]:
    found = ages(rows["age"])
    implausible = rows["image"][found.isna() & (rows["age"] != "")]
    odd.add("implausible_age", set(implausible))
    if found.isna().any():
        ageless = rows["image"][found.isna()].nunique()
        odd.notes.append(
            f"Images without an age up to {OLDEST_AGE:.0f} years: {ageless:,}; it counts as unknown."
        )
    return found


def _labels(rows: pd.DataFrame, lists: Lists, odd: Oddities) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and rows of the images, one row each; NaN where rows contradict each other."""
    ids = pd.Index(rows["image"], name="image_id", dtype="str")
    facts = rows[["patient", "age", "sex", "view"]]
    first = ~ids.duplicated()
    if lists.labels is not None:
        # The table's labels are not used: that they disagree does not matter.
        same = pd.Series("", index=rows.index)
        add_repeated_rows(odd, ids, same, facts)
        return lists.labels.loc[ids[first]], rows[first].set_axis(ids[first])
    codes, strings = pd.factorize(rows["labels"])
    matrix = np.stack([_vector(string) for string in strings])
    strange = np.flatnonzero(np.isnan(matrix[codes]).any(axis=1))
    odd.add(
        "unknown_label",
        set(ids[strange]),
        serious=True,
        told={ids[row]: rows["labels"].iloc[row] for row in strange},
    )
    told = pd.Series([vector.tobytes() for vector in matrix])[codes]
    conflicting = add_repeated_rows(odd, ids, told, facts)
    labels = pd.DataFrame(matrix[codes], index=ids, columns=list(NIH_FINDINGS))
    labels.loc[ids.isin(list(conflicting))] = np.nan
    return labels[first], rows[first].set_axis(ids[first])


def _vector(string: str) -> NDArray[np.float32]:
    """Labels ``[14]`` of a string such as ``Cardiomegaly|Emphysema``; all NaN where a label is unknown."""
    vector = np.zeros(len(NIH_FINDINGS), dtype=np.float32)
    for text in string.split("|"):
        finding = canonical_finding(text)
        if finding is not None:
            vector[NIH_FINDINGS.index(finding)] = 1
        elif text.strip() != NO_FINDING:
            vector[:] = np.nan
    return vector
