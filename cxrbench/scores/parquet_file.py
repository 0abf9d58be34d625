"""Scores in a Parquet file: anybody's, or a predictions table of cxrbench."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cxrbench.errors import UsageError


def read(path: Path) -> tuple[pd.DataFrame, bool]:
    """The table, an index of pandas as its first column, and whether cxrbench wrote it (as logits).

    Raises:
        UsageError: it is no Parquet, or a column is there twice.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} cannot be read as Parquet ({reason[:160]}); correct it.") from error
    names = table.column_names
    if len(set(names)) < len(names):
        raise UsageError(f"{path} has a column twice; give each column one name.")
    metadata = table.schema.metadata or {}
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    # The index of a pandas frame without a name.
    return frame.rename(columns={"__index_level_0__": ""}), b"cxrbench" in metadata
