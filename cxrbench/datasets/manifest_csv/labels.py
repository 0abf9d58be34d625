"""Labels of a user's own table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.collection import Oddities
from cxrbench.datasets.manifest_csv.columns import LABEL, ColumnMap, Uncertain, folded, require_column
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.findings import NO_FINDING, canonical_finding

_MEANING: Mapping[Uncertain, float] = {"mask": np.nan, "zero": 0.0, "one": 1.0}


def read_labels(
    table: pd.DataFrame, columns: Mapping[str, str], told: ColumnMap, path: Path, odd: Oddities
) -> pd.DataFrame:
    """Float32 labels of each row, one column a class, from one column of strings or one a finding.

    Raises:
        UsageError: there are no findings, two have one name, or a value is no label.
        CxrbenchError: an image of a single-label task has not one class.
    """
    strings, known = columns.get("labels"), LABEL | folded(told.values.label)
    found = _finding_columns(table, set(columns.values()), told, known)
    # A column of free text is often called findings or labels: it comes last where the TOML does not name it.
    if strings and (told.columns.labels or not any(_is_finding(name, told) for name in found)):
        labels = _from_strings(table[strings], strings, told, path)
    else:
        labels = _from_columns(table, found, known, told, path, odd)
    if told.task == "singlelabel":
        sums = labels.sum(axis=1, skipna=False)
        if not (sums.isna() | (sums == 1)).all():
            row = sums.index[sums.notna() & (sums != 1)][0]
            raise CxrbenchError(
                f"{path} has {sums[row]:.0f} classes in row {row + 2}; a single-label task has exactly one."
            )
    return labels


def _from_strings(texts: pd.Series[str], column: str, told: ColumnMap, path: Path) -> pd.DataFrame:
    """Labels of strings such as ``Mass|Nodule``; an empty one is unknown."""
    sets = {
        text: [part.strip() for part in text.split(told.separator) if part.strip()] for text in texts.unique()
    }
    healthy = NO_FINDING.casefold() if told.task == "multilabel" else None
    found = {part for parts in sets.values() for part in parts}
    if told.findings:
        classes = _named(told.findings, path)
        for text in told.findings.values():
            if text not in found:
                raise UsageError(
                    f"{path} has '{text}' in no row of the column '{column}', where findings are named; "
                    "correct it under findings."
                )
    else:
        classes = {}
        for part in sorted(part for part in found if part.casefold() != healthy):
            if not (
                told.columns.labels or canonical_finding(part) or part.casefold() == NO_FINDING.casefold()
            ):
                raise UsageError(
                    f"{path} has '{part[:60]}' in the column '{column}', which is no known finding; name "
                    "in a TOML file the column of findings' names (columns.labels), or each finding's own "
                    "column (findings)."
                )
            classes.setdefault(canonical_finding(part) or part, []).append(part)
    vectors = {
        text: [float(any(own in parts for own in owns)) if parts else np.nan for owns in classes.values()]
        for text, parts in sets.items()
    }
    matrix = np.array([vectors[text] for text in texts], dtype=np.float32)
    return _required(pd.DataFrame(matrix, index=texts.index, columns=list(classes)), path)


def _from_columns(
    table: pd.DataFrame,
    found: list[str],
    known: Mapping[str, str],
    told: ColumnMap,
    path: Path,
    odd: Oddities,
) -> pd.DataFrame:
    """Labels of one column a finding: 1, 0, -1 (uncertain), or empty (unknown)."""
    if told.findings:
        classes = _named(told.findings, path)
        for (column,) in classes.values():
            require_column(column, table.columns, path)
    else:
        classes = _named({column: column for column in found}, path)
        odd.notes.append(f"Columns taken as findings: {', '.join(column for (column,) in classes.values())}.")
    values = {"1": 1.0, "0": 0.0, "-1": _MEANING[told.uncertain], "": np.nan}
    matrix = {}
    for name, (column,) in classes.items():
        told_values = table[column].str.casefold().map(known)
        if told_values.isna().any():
            strange = table[column][told_values.isna()].iloc[0]
            raise UsageError(
                f"{path} has '{strange}' in the column '{column}'; labels are 1, 0, -1 or empty: map it "
                "under values.label."
            )
        matrix[name] = told_values.map(values).astype(np.float32)
    return _required(pd.DataFrame(matrix, index=table.index), path)


def _finding_columns(
    table: pd.DataFrame, taken: set[str], told: ColumnMap, known: Mapping[str, str]
) -> list[str]:
    """The columns that are findings: those that are told, or that hold labels alone, some of them known."""
    columns = list(map(str, table.columns))
    if told.findings:
        return [column for column in columns if column in told.findings.values()]
    # "No Finding" is no finding.
    candidates = (c for c in columns if c not in taken and c.casefold() != NO_FINDING.casefold())
    return [column for column in candidates if _holds_labels(table[column], known)]


def _is_finding(column: str, told: ColumnMap) -> bool:
    """Whether a column is surely one: by what is told, or by its name."""
    return column in told.findings.values() or canonical_finding(column) is not None


def _holds_labels(texts: pd.Series[str], known: Mapping[str, str]) -> bool:
    values = set(texts.str.casefold().unique())
    return values <= known.keys() and any(known[value] for value in values)


def _required(labels: pd.DataFrame, path: Path) -> pd.DataFrame:
    if labels.empty or labels.shape[1] == 0:
        raise UsageError(f"{path} has no column of findings; name them in the TOML under findings.")
    return labels


def _named(findings: Mapping[str, str], path: Path) -> dict[str, list[str]]:
    """Column (or text) of each finding under its canonical name."""
    named: dict[str, list[str]] = {}
    for name, column in findings.items():
        canonical = canonical_finding(name) or name
        if canonical in named:
            raise UsageError(
                f"'{column}' and '{named[canonical][0]}' of {path} are both {canonical}; name one under "
                "findings."
            )
        named[canonical] = [column]
    return named
