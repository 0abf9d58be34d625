"""A file of scores, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cxrbench.errors import UsageError
from cxrbench.scores import csv_file, npz_file, parquet_file
from cxrbench.scores.columns import scores_of
from cxrbench.scores.table import ScoreTable

FORMATS = (".csv", ".tsv", ".txt", ".parquet", ".pq", ".npz")


def read_scores(
    path: Path, classes: Sequence[str], *, columns: Sequence[str] | None = None, prefix: str | None = None
) -> ScoreTable:
    """Read a file by its ending.

    Args:
        path: of the file.
        classes: the findings of the labels; none where the file has its own labels.
        columns: names of the columns of an npz file, in order; None: as the file says.
        prefix: of the scores' columns of a table; None: found out.

    Raises:
        UsageError: the file is missing, of no format that is known, or not what it should be.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}; give the file of predictions.")
    suffix = path.suffix.casefold()
    if suffix not in FORMATS:
        raise UsageError(f"{path} is none of {', '.join(FORMATS)}; give predictions in one of these formats.")
    if suffix == ".npz":
        return npz_file.read(path, columns)
    if suffix in (".parquet", ".pq"):
        frame, own = parquet_file.read(path)
        return scores_of(frame, classes, path, prefix=prefix, logits=own)
    return scores_of(csv_file.read(path), classes, path, prefix=prefix)
