"""The labels that scores are joined with: a table of images, whose files need not be at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from cxrbench.collection import Collection
from cxrbench.datasets.manifest_csv import manifest_images
from cxrbench.datasets.manifest_csv.columns import ColumnMap, read_column_map
from cxrbench.datasets.nih import labelled_images
from cxrbench.datasets.nih.lists import official_lists
from cxrbench.errors import UsageError

_NIH = {"Image Index", "Finding Labels", "Patient ID"}


def read_label_table(path: Path, root: Path | None = None) -> Collection:
    """All images of a label table, with labels, patients and roles as far as it has them.

    Args:
        path: the label table of NIH ChestX-ray14, any table that the data set ``csv`` takes, or a TOML file
            on one (:class:`cxrbench.datasets.manifest_csv.columns.ColumnMap`).
        root: where it is given, a folder with NIH's official lists, or the one that a TOML file's table
            lies in.

    Raises:
        UsageError: a file is missing or does not fit.
        CxrbenchError: a table is damaged.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}; --labels takes a table of labels.")
    told = ColumnMap()
    if path.suffix.casefold() == ".toml":
        told = read_column_map(path)
        if not told.table:
            raise UsageError(f'{path} names no table; give it table = "FILE.csv".')
        folders = [folder for folder in (root, path.parent) if folder is not None]
        path = next((f / told.table for f in folders if (f / told.table).is_file()), path.parent / told.table)
    elif set(_header(path)) >= _NIH:
        return labelled_images(path, None if root is None else official_lists(root))
    return manifest_images(told, path, lambda sources: np.ones(len(sources), bool))


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a table of labels; give a CSV or TOML file.") from error
