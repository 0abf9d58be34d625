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
    table: pd.DataFrame,
    columns: Mapping[str, str],
    told: ColumnMap,
    path: Path,
    uncertain: Uncertain,
    odd: Oddities,
) -> pd.DataFrame:
    """Float32 labels of each row, one column a class, from one column of strings or one a finding.

    Raises:
        UsageError: there are no findings, two have one name, or a value is no label.
        CxrbenchError: an image of a single-label task has not one class.
    """
    if "labels" in columns:
        labels = _from_strings(table[columns["labels"]], told, path)
    else:
        labels = _from_columns(table, set(columns.values()), told, path, uncertain, odd)
    if told.task == "singlelabel":
        sums = labels.sum(axis=1, skipna=False)
        if not (sums.isna() | (sums == 1)).all():
            row = sums.index[sums.notna() & (sums != 1)][0]
            raise CxrbenchError(
                f"{path} has {sums[row]:.0f} classes in row {row + 2}; a single-label task has exactly one."
            )
    return labels


def _from_strings(texts: pd.Series[str], told: ColumnMap, path: Path) -> pd.DataFrame:
    """Labels of strings such as ``Mass|Nodule``; an empty one is unknown."""
    sets = {
        text: [part.strip() for part in text.split(told.separator) if part.strip()] for text in texts.unique()
    }
    healthy = NO_FINDING.casefold() if told.task == "multilabel" else None
    if told.findings:
        classes = _named(told.findings, path)
    else:
        found = {part for parts in sets.values() for part in parts if part.casefold() != healthy}
        classes = {}
        for part in sorted(found):
            classes.setdefault(canonical_finding(part) or part, []).append(part)
    vectors = {
        text: [float(any(own in parts for own in owns)) if parts else np.nan for owns in classes.values()]
        for text, parts in sets.items()
    }
    matrix = np.array([vectors[text] for text in texts], dtype=np.float32)
    return _required(pd.DataFrame(matrix, index=texts.index, columns=list(classes)), path)


def _from_columns(
    table: pd.DataFrame, taken: set[str], told: ColumnMap, path: Path, uncertain: Uncertain, odd: Oddities
) -> pd.DataFrame:
    """Labels of one column a finding: 1, 0, -1 (uncertain), or empty (unknown)."""
    known = LABEL | folded(told.values.label)
    if told.findings:
        classes = _named(told.findings, path)
        for (column,) in classes.values():
            require_column(column, table.columns, path)
    else:
        candidates = [c for c in map(str, table.columns) if c not in taken]
        # Columns of nothing but labels, some of them known; "No Finding" is no finding.
        kept = [c for c in candidates if _holds_labels(table[c], known)]
        classes = _named({c: c for c in kept if c.casefold() != NO_FINDING.casefold()}, path)
        odd.notes.append(f"Columns taken as findings: {', '.join(column for (column,) in classes.values())}.")
    values = {"1": 1.0, "0": 0.0, "-1": _MEANING[uncertain], "": np.nan}
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
