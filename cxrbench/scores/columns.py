"""Which column of a table of scores is what, however it is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.errors import UsageError
from cxrbench.findings import class_of
from cxrbench.scores.table import ScoreTable, Values

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_IDS = ("image_id", "image_index", "image", "image_name", "path", "file", "filename", "file_name", "id")
_PATIENTS = ("patient_id", "patient", "subject_id")
_NAMES = ("finding", "class", "class_name", "label", "pathology", "disease", "condition")
_SCORES: dict[str, Values | None] = {
    "probability": "probabilities",
    "prob": "probabilities",
    "proba": "probabilities",
    "logit": "logits",
    **dict.fromkeys(("score", "value", "prediction", "pred", "output", "confidence", "p")),
}
"""Columns of a long table, and parts of the names of a wide one's, with what they say of their values."""
_NO_SCORES = {"label", "labels", "gt", "true", "truth", "target", "targets", "no", "not", "threshold", "thr"}
"""Parts of names of columns that hold no scores, whatever finding they are of."""


def folded(name: str) -> str:
    """A column's name in lower case, its words joined by underscores."""
    return re.sub(r"[\s.\-/:]+", "_", name.strip().casefold()).strip("_")


def is_text(name: str) -> bool:
    """Whether a column of this name is text, whatever it looks like."""
    return folded(name) in ("", *_IDS, *_PATIENTS, *_NAMES)


def scores_of(
    frame: pd.DataFrame,
    classes: Sequence[str],
    path: Path,
    *,
    prefix: str | None = None,
    logits: bool = False,
) -> ScoreTable:
    """The scores of a table: wide (a column a finding) or long (a row an image and finding).

    Args:
        frame: as a format's ``read`` gives it.
        classes: the findings of the labels, under whose names columns are told.
        path: of the file, for messages.
        prefix: what the scores' columns start with; None: found out.
        logits: whether the values are known to be logits.

    Raises:
        UsageError: there are no ids or no findings, a finding has two columns, or a cell is no number.
    """
    ids = _column(frame.columns, _IDS)
    if ids is None:
        named = ", ".join(_IDS)
        raise UsageError(
            f"{path} has no column of image ids ({named}); name it so, or give --rows-as-ids where its rows "
            "have no ids at all."
        )
    texts = frame[ids].astype("str").str.strip()
    nameless = np.flatnonzero(frame[ids].isna() | (texts == ""))
    if len(nameless):
        raise UsageError(f"{path} has no image id in row {nameless[0] + 1}; correct it.")
    names, long = _column(frame.columns, _NAMES), _column(frame.columns, tuple(_SCORES))
    if names is not None and long is not None:
        return _from_long(frame, texts, names, long, classes, path, logits)
    found, hint = wide_columns([c for c in map(str, frame.columns) if c != ids], classes, path, prefix)
    values = np.column_stack([_numbers(frame[column], texts, path) for column in found.values()])
    others = [c for c in frame.columns if c not in (ids, *found.values())]
    notes = (f"{path.name}: columns that are no finding, not used: {', '.join(others)}.",) if others else ()
    return ScoreTable(path, pd.Index(texts), tuple(found), values, "logits" if logits else hint, notes)


def wide_columns(
    columns: Sequence[str], classes: Sequence[str], path: Path, prefix: str | None = None
) -> tuple[dict[str, str], Values | None]:
    """The column of each finding, and what the columns' names say of their values.

    All have one prefix or ending, such as ``prob_`` or ``_logit``, or none; where a table has several, the
    one that names scores is meant, never one that names labels.

    Raises:
        UsageError: there are none, or several in one finding's place.
    """
    if prefix is not None:
        mine = [(column, column.removeprefix(prefix)) for column in columns if column.startswith(prefix)]
        found = {prefix: _of_affix(mine, classes, path)}
    else:
        by_affix = _affixes(columns)
        found = {affix: _of_affix(by_affix[affix], classes, path) for affix in by_affix}
    found = {affix: mine for affix, mine in found.items() if mine}
    if not found:
        raise UsageError(
            f"{path} has no column that is a finding of the labels ({', '.join(classes)}); name its columns "
            "like those, with one prefix or none."
        )
    most = max(map(len, found.values()))
    # A bare name beside one that says what it holds is often a label.
    said = [affix for affix, mine in found.items() if _says_scores(affix) and 2 * len(mine) >= most]
    best = said if prefix is None and said else list(found)
    most = max(len(found[affix]) for affix in best)
    # The shortest of those that mean the same columns.
    meant = {tuple(found[affix].values()): affix for affix in sorted(best, key=len, reverse=True)}
    several = [affix for affix in meant.values() if len(found[affix]) == most]
    if len(several) > 1 and "*" in several:
        several = ["*"]
    if len(several) > 1:
        first, second = (next(iter(found[affix].values())) for affix in several[:2])
        raise UsageError(
            f"{path} has several columns for each finding, such as '{first}' and '{second}'; say with "
            "--prefix which are the scores."
        )
    return found[several[0]], _hint(several[0])


def _affixes(columns: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Columns by what stands around their finding, as ``before*after``; each with the rest of its name."""
    by_affix: dict[str, list[tuple[str, str]]] = {}
    for column in columns:
        parts = folded(column).split("_")
        for start in range(len(parts)):
            for end in range(len(parts), start, -1):
                if start and end < len(parts):
                    continue
                if _NO_SCORES & {*parts[:start], *parts[end:]}:
                    continue
                affix = f"{'_'.join(parts[:start])}*{'_'.join(parts[end:])}"
                by_affix.setdefault(affix, []).append((column, "_".join(parts[start:end])))
    return by_affix


def _of_affix(pairs: Iterable[tuple[str, str]], classes: Sequence[str], path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    by_folded = {folded(name): name for name in classes}
    for column, rest in pairs:
        name = by_folded.get(folded(rest)) or class_of(rest, classes)
        if name in found:
            raise UsageError(
                f"The columns '{found[name]}' and '{column}' of {path} are both {name}; leave one of them, "
                "or say with --prefix which are the scores."
            )
        if name is not None:
            found[name] = column
    return {name: found[name] for name in classes if name in found}


def _words(affix: str) -> list[str]:
    return [word.removesuffix("s") for word in re.split(r"[\W_]+", affix.casefold()) if word]


def _says_scores(affix: str) -> bool:
    return any(word in _SCORES for word in _words(affix))


def _hint(affix: str) -> Values | None:
    return next((said for word in _words(affix) if (said := _SCORES.get(word))), None)


def _from_long(
    frame: pd.DataFrame,
    ids: pd.Series[str],
    names: str,
    column: str,
    classes: Sequence[str],
    path: Path,
    logits: bool,
) -> ScoreTable:
    spelled = frame[names].astype("str")
    meant = {text: class_of(text, classes) for text in spelled.unique()}
    if not any(meant.values()):
        raise UsageError(
            f"{path} has no finding of the labels ({', '.join(classes)}) under '{names}'; name them so."
        )
    others = sorted(text for text, name in meant.items() if name is None)
    kept = spelled.map({text: name is not None for text, name in meant.items()}).to_numpy(bool)
    values = _numbers(frame[column], ids, path)[kept]
    found = tuple(name for name in classes if name in meant.values())
    places = spelled[kept].map({text: found.index(name) for text, name in meant.items() if name})
    table = pd.DataFrame({"id": ids[kept].to_numpy(), "place": places.to_numpy(int), "value": values})
    # An image's second row of a finding is a second row of the image.
    table["again"] = table.groupby(["id", "place"], sort=False).cumcount()
    rows, which = np.unique(table[["id", "again"]].to_records(index=False), return_inverse=True)
    scores = np.full((len(rows), len(found)), np.nan)
    scores[which, table["place"]] = table["value"]
    notes = (f"{path.name}: findings that the labels lack, not used: {', '.join(others)}.",) if others else ()
    hint: Values | None = "logits" if logits else _SCORES.get(folded(column))
    return ScoreTable(path, pd.Index(rows["id"].astype(str)), found, scores, hint, notes)


def _column(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The first of these columns that a table has; an index without a name comes last."""
    by_folded = {folded(str(column)): str(column) for column in columns}
    return next(
        (by_folded[name] for name in (*names, *(("",) if names is _IDS else ())) if name in by_folded), None
    )


def _numbers(cells: pd.Series, ids: pd.Series[str], path: Path) -> FloatArray:
    """A column's cells as float64, NaN where there is nothing."""
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        return cells.to_numpy(np.float64, na_value=np.nan)
    numbers = pd.to_numeric(cells.astype("str").where(cells.notna()), errors="coerce")
    odd = np.flatnonzero(numbers.isna() & cells.notna()).tolist()
    wrong = [row for row in odd if str(cells.iloc[row]).strip().casefold() not in ("", "nan", "na", "null")]
    if wrong:
        row = wrong[0]
        raise UsageError(
            f"{path} has '{cells.iloc[row]}' under '{cells.name}' for image {ids.iloc[row]}, which is no "
            f"number{f' ({len(wrong):,} such cells)' if len(wrong) > 1 else ''}; correct it."
        )
    return numbers.to_numpy(np.float64)
