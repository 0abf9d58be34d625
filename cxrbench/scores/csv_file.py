"""Scores in a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from cxrbench.errors import UsageError
from cxrbench.scores.columns import is_text

_DELIMITERS = ",;\t"


def read(path: Path) -> pd.DataFrame:
    """The table, numbers as the nearest double, image ids and names as text; commas, semicolons or tabs.

    Raises:
        UsageError: it is no table, a row has more or fewer cells than the header, or a column is there twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(_DELIMITERS, key=lambda each: (first.count(each), each == ","))
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
        repeated = sorted({name for name in header if header.count(name) > 1})
        if repeated or not header:
            what = f"has the column '{repeated[0]}' twice" if repeated else "is empty"
            raise UsageError(f"{path} {what}; give each column one name.")
        # Text stays text: an id such as 00000010 is no number.
        types = {name: pa.string() for name in header if is_text(name)}
        table = pa.csv.read_csv(
            path,
            read_options=pa.csv.ReadOptions(column_names=header, skip_rows=1),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter),
            convert_options=pa.csv.ConvertOptions(column_types=types),
        )
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as CSV ({reason[:160]}); correct it.") from error
    frame: pd.DataFrame = table.to_pandas()
    return frame
