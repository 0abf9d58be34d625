"""A data set of the user's own: a CSV file with one row an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.collection import Collection, Oddities
from cxrbench.datasets.manifest_csv.columns import (
    ROLE,
    SEX,
    VIEW,
    ColumnMap,
    Uncertain,
    folded,
    found_columns,
    read_column_map,
)
from cxrbench.datasets.manifest_csv.labels import read_labels
from cxrbench.datasets.tables import add_repeated_rows, ages, known_or_none, no_boxes, read_text_table
from cxrbench.decoding import grey_image
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.files import sha256
from cxrbench.sources import names_in
from cxrbench.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ManifestCsv:
    """Images, patients and labels of a CSV file (:class:`cxrbench.interfaces.Dataset`).

    Findings with a spelling of one of the 14 of NIH get its name (``Pleural Effusion`` is ``Effusion``), so
    that networks trained on one data set can be tested on another; others keep their own.

    Attributes:
        config: a TOML file (:class:`cxrbench.datasets.manifest_csv.columns.ColumnMap`), in the folder where
            the command runs or below the data root.
        table: the CSV file, below the data root; needs no TOML where its columns have usual names.
        uncertain: what the label -1 means: unknown (``mask``), ``zero`` or ``one``; the TOML's where None.
    """

    config: str = ""
    table: str = ""
    uncertain: Uncertain | None = None

    def recommend(self) -> Mapping[str, object]:
        """Fine-tuning from ImageNet at 224 pixels."""
        return {"image_size": 224, "weights": "imagenet", "batch_size": 32, "learning_rate": 1e-4}

    def read(self, root: Path | None) -> Collection:
        """Read the rows whose images are at hand.

        Raises:
            UsageError: the options, or the TOML file, do not fit the table.
            CxrbenchError: the table is missing, damaged, or names no image that is there.
        """
        root = self._root(root)
        told, path = self._told(root)
        return manifest_images(told, path, partial(_require_present, root, path))

    def pixels(self, content: bytes | None, image_id: str, side: int) -> NDArray[np.uint8]:
        """The image as greyscale ``[height, width]`` at its own size (:func:`cxrbench.decoding.grey_image`).

        Raises:
            DamagedImageError: the content is not an image, or not the whole of it.
        """
        return grey_image(content or b"", image_id)

    def _root(self, root: Path | None) -> Path:
        if not (self.config or self.table):
            raise UsageError("The data set csv needs csv:config=FILE.toml or csv:table=FILE.csv.")
        if root is None:
            raise UsageError(
                "The data set csv needs --data-root DIR, the folder that images' paths start from."
            )
        if not root.is_dir():
            raise UsageError(f"There is no folder {root}; --data-root is where images' paths start from.")
        return root

    def _told(self, root: Path) -> tuple[ColumnMap, Path]:
        """What the TOML and the options tell, and where the table is."""
        if not self.config:
            return ColumnMap(uncertain=self.uncertain or "mask"), root / self.table
        config = Path(self.config) if Path(self.config).is_file() else root / self.config
        told = read_column_map(config)
        name = self.table or told.table
        if not name:
            raise UsageError(f'{config} names no table; give it table = "FILE.csv".')
        path = next((p for p in (root / name, config.parent / name) if p.is_file()), root / name)
        return told.model_copy(update={"uncertain": self.uncertain or told.uncertain}), path


def manifest_images(
    told: ColumnMap, path: Path, present: Callable[[pd.Series[str]], NDArray[np.bool_]]
) -> Collection:
    """The images of a table; ``present`` says of their sources which are to be used.

    Raises:
        UsageError: the TOML file does not fit the table.
        CxrbenchError: the table is missing or damaged, or as ``present`` raises.
    """
    table, odd = read_text_table(path), Oddities()
    columns = found_columns(told.columns, table.columns, path)
    if "image" not in columns:
        raise UsageError(f"The table {path} has no column of images; name it in the TOML, columns.image.")
    complete = (table[[columns[kind] for kind in ("image", "patient") if kind in columns]] != "").all(axis=1)
    odd.add(
        "incomplete_rows",
        (table[columns["image"]][n] or f"row {n + 2}" for n in table.index[~complete]),
        "Rows without image or patient: {}; they are left out.",
    )
    table = _with_role(table[complete], columns, odd)
    image = _paths(table[columns["image"]], told, path)
    here = present(image)
    if not here.all():
        odd.notes.append(f"{here.sum():,} of the {len(here):,} rows' images are here.")
    official, role = _roles(table, columns, told, path, odd)
    listed = {name: int((official == name).sum()) for name in ("train_val", "test")}
    labels = read_labels(table, columns, told, path, odd)
    facts = _facts(table, columns, told, odd).assign(official=official, role=role, source=image)
    facts, labels, image = facts[here], labels[here], image[here]
    ids = pd.Index(image, name="image_id", dtype="str")
    if "patient" not in columns:
        facts["patient_id"] = ids
    conflicting = add_repeated_rows(odd, ids, pd.Series(map(np.ndarray.tobytes, labels.to_numpy())), facts)
    labels = labels.set_axis(ids)
    labels.loc[ids.isin(list(conflicting))] = np.nan
    first = ~ids.duplicated()
    return Collection(
        name=told.name or path.stem,
        task=Task(told.task, tuple(labels.columns)),
        manifest=facts.set_axis(ids)[first],
        labels=labels[first],
        boxes=no_boxes(),
        label_version=told.label_version or f"{path.name} {sha256(path)[:12]}",
        listed=listed if any(listed.values()) else {},
        notes=tuple(odd.notes),
        problems=tuple(odd.problems),
    )


def _require_present(root: Path, table: Path, sources: pd.Series[str]) -> NDArray[np.bool_]:
    here = sources.isin(_present(root, sources)).to_numpy()
    if not here.any():
        raise CxrbenchError(
            f"None of the {len(here):,} images of {table} is below {root}; correct --data-root."
        )
    return here


def _paths(texts: pd.Series[str], told: ColumnMap, path: Path) -> pd.Series[str]:
    """The source of each image."""
    prefix = f"{told.folder.rstrip('/')}/" if told.folder else ""
    sources = texts.map(
        lambda text: (prefix + text.replace("\\", "/")) + ("" if PurePosixPath(text).suffix else told.suffix)
    )
    plain = sources.map(lambda source: PurePosixPath(source).as_posix())
    for source in plain:
        if source.startswith("/") or ".." in source.split("/"):
            raise CxrbenchError(
                f"{path} names '{source}'; images' paths must be relative and below --data-root."
            )
    return plain


def _present(root: Path, sources: pd.Series[str]) -> set[str]:
    folders = {source.rpartition("/")[0] for source in sources}
    return {
        f"{folder}/{name}" if folder else name for folder in folders for name in names_in(root, folder or ".")
    }


def _with_role(table: pd.DataFrame, columns: Mapping[str, str], odd: Oddities) -> pd.DataFrame:
    """Rows that have a role, where any has."""
    if "role" not in columns:
        return table
    told = table[columns["role"]] != ""
    if not told.any():
        return table
    odd.add("roleless_rows", table[columns["image"]][~told], "Rows without a role: {}; they are left out.")
    return table[told]


def _facts(table: pd.DataFrame, columns: Mapping[str, str], told: ColumnMap, odd: Oddities) -> pd.DataFrame:
    """Patient, age, sex and view of each row; unknown where there is no such column."""

    def texts(kind: str) -> pd.Series[str]:
        return table[columns[kind]] if kind in columns else pd.Series("", index=table.index, dtype="str")

    if "patient" not in columns:
        odd.notes.append("There is no column of patients: every image counts as a patient of its own.")
    age = ages(texts("age"))
    odd.add(
        "implausible_age",
        set(table[columns["image"]][age.isna() & (texts("age") != "")]),
        "Images whose age is no age: {}; it counts as unknown.",
    )
    return pd.DataFrame(
        {
            "patient_id": texts("patient"),
            "age": age,
            "sex": known_or_none(texts("sex"), SEX | folded(told.values.sex)),
            "view": known_or_none(texts("view"), VIEW | folded(told.values.view)),
        }
    )


def _roles(
    table: pd.DataFrame, columns: Mapping[str, str], told: ColumnMap, path: Path, odd: Oddities
) -> tuple[pd.Series[str], pd.Series[str]]:
    """The official list and the own role of each row.

    Lists of train (or train_val) and test alone are official lists: val and tune are then drawn from train.
    """
    nothing = pd.Series([None] * len(table), index=table.index, dtype=object)
    if "role" not in columns or not table[columns["role"]].any():
        return nothing, nothing
    texts = table[columns["role"]]
    roles = known_or_none(texts, ROLE | folded(told.values.role))
    strange = texts[roles.isna()]
    if len(strange):
        raise UsageError(
            f"{path} has the role '{strange.iloc[0]}'; map it under values.role to train, val, tune, test or "
            "train_val."
        )
    values = set(roles)
    official = roles.map(dict.fromkeys(values, "train_val") | {"test": "test"}).astype(object)
    if values <= {"train_val", "train", "test"} and len(values & {"train_val", "train"}) == 1:
        return official, nothing
    if "train_val" in values:
        raise UsageError(
            f"{path} has the role train_val besides {', '.join(values - {'train_val'})}; split it."
        )
    return official, roles
