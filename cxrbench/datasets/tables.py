"""What reading the tables of published data sets has in common."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cxrbench.collection import BOX_COLUMNS, Oddities
from cxrbench.errors import CxrbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST_AGE = 120.0
"""The older label tables of NIH have ages such as 411 years."""

_AGE_TEXT = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*([YMWD]?)")
_YEARS_PER_UNIT = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def read_text_table(path: Path) -> pd.DataFrame:
    """A CSV file as text, blanks around it removed, nothing for what is missing (``""``).

    Raises:
        CxrbenchError: the file is missing or no table.
    """
    if not path.is_file():
        raise CxrbenchError(f"There is no table {path}; correct its name or put it there.")
    try:
        return text_cells(path)
    except (ValueError, OSError) as error:
        short = " ".join(str(error).split())
        raise CxrbenchError(f"{path} cannot be read as a table ({short}); download it again.") from error


def text_cells(path: Path) -> pd.DataFrame:
    """As :func:`read_text_table`, of a file that is there.

    A row may lack cells at its end, as those of NIH lack that of the empty last head; none may have more.

    Raises:
        ValueError: it is no table, or a row has more cells than the header.
        OSError: it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Where all rows had more cells than the header, pandas would take the first column for an index.
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig")
    except pd.errors.ParserWarning as warning:
        raise ValueError(
            "its rows have more cells than its header, such as one after a last comma"
        ) from warning
    # A short row's missing cells are NaN whatever is said of text that looks like it.
    table = table.fillna("").rename(columns=str.strip)
    for column in table:
        table[column] = table[column].str.strip()
    return table


def years(text: str) -> float:
    """Years of ``58`` or, as DICOM and older tables have it, ``058Y``, ``009M``, ``003W``, ``003D``.

    NaN where it is no age, or more than :data:`OLDEST_AGE`.
    """
    match = _AGE_TEXT.fullmatch(text.strip().upper())
    found = float(match[1]) * _YEARS_PER_UNIT[match[2] or "Y"] if match else math.nan
    return found if found <= OLDEST_AGE else math.nan


def ages(texts: pd.Series[str]) -> pd.Series[float]:
    """Ages in years, worked out once for each text; NaN where unknown or implausible."""
    return texts.map({text: years(str(text)) for text in texts.unique()}).astype("float64")


def known_or_none(texts: pd.Series[str], known: Mapping[str, str]) -> pd.Series[str]:
    """What each text stands for, whatever its case; None where it is not known."""
    found = texts.str.casefold().map(known).astype(object)
    return found.where(found.notna(), None)


def _repeated_rows(image_ids: pd.Index[str], facts: pd.DataFrame) -> tuple[set[str], set[str]]:
    """The images of several rows: those whose rows agree in all ``facts``, and those whose do not."""
    several = image_ids.duplicated(keep=False)
    rows = facts.set_axis(image_ids)[several].rename_axis("image_id").reset_index().drop_duplicates()
    conflicting = set(rows["image_id"][rows["image_id"].duplicated()])
    return set(image_ids[several]) - conflicting, conflicting


def add_repeated_rows(
    oddities: Oddities, image_ids: pd.Index[str], labels: pd.Series, facts: pd.DataFrame
) -> set[str]:
    """Tell of images with several rows, by their labels and their other facts; returns those in conflict."""
    repeated, in_labels = _repeated_rows(image_ids, labels.to_frame())
    agreeing, in_facts = _repeated_rows(image_ids, facts)
    oddities.add("label_conflict", in_labels, serious=True)
    oddities.add("row_conflict", in_facts - in_labels, serious=True)
    oddities.add(
        "duplicate_rows", repeated & agreeing, "Images with several rows that agree: {}; one is kept."
    )
    return in_labels | in_facts


def no_boxes() -> pd.DataFrame:
    """The boxes of a data set without any."""
    return pd.DataFrame(
        {name: pd.Series(dtype=object if name in BOX_COLUMNS[:2] else "float64") for name in BOX_COLUMNS}
    )
