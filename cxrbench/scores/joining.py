"""Scores joined with labels: images with logits, labels, patients and roles."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from cxrbench.canonical import digest
from cxrbench.collection import Collection
from cxrbench.datasets.tables import no_boxes
from cxrbench.errors import UsageError
from cxrbench.roles import assign_roles, tune_of_test
from cxrbench.scores.spec import TuneFrom
from cxrbench.scores.table import Allowed, ScoreTable, Values
from cxrbench.scores.values import kind_of, logits_of, require_probabilities
from cxrbench.task import Task


@dataclass(frozen=True)
class Joined:
    """Images with scores and labels.

    Attributes:
        collection: exactly these images, sorted by id, each with its role: test or tune.
        logits: float64, indexed like the collection's manifest, one column a finding.
        tune_from: where the tune images come from.
        lacking: findings of the labels that the scores lack.
        notes: sentences on this file, such as what was left out.
    """

    collection: Collection
    logits: pd.DataFrame
    tune_from: TuneFrom
    lacking: tuple[str, ...]
    notes: tuple[str, ...]


def own_labels(table: ScoreTable) -> Collection:
    """The labels that a file has beside its scores.

    Rows without ids are named by a hash of the patients and labels of all rows and their place, so that two
    files have the same images only where every row is of the same patient with the same labels.

    Raises:
        UsageError: it has none.
    """
    if table.labels is None:
        raise UsageError(f"{table.path} has no labels; give a table of them with --labels.")
    notes = []
    patients = table.patients
    if patients is None:
        notes.append(f"{table.path.name} names no patients: every image counts as a patient of its own.")
        patients = table.ids if table.ids is not None else pd.RangeIndex(len(table.scores)).astype("str")
    labels = table.labels.astype(np.float32)
    rows = hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()
    content = digest([table.classes, list(patients), rows])[:12]
    ids = table.ids
    if ids is None:
        ids = pd.Index([f"{content}-{row:07d}" for row in range(len(labels))], dtype="str")
    ids = ids.rename("image_id")
    first = ~ids.duplicated()
    nothing = pd.Series([None] * len(ids), index=ids, dtype=object)
    manifest = pd.DataFrame(
        {
            "patient_id": pd.Series(patients.to_numpy(), index=ids, dtype="str"),
            "age": np.nan,
            "sex": nothing,
            "view": nothing,
            "official": nothing,
            "role": nothing,
            "source": pd.Series("", index=ids, dtype="str"),
        },
        index=ids,
    )
    return Collection(
        name=f"rows {content}" if table.ids is None else table.path.stem,
        task=Task("multilabel", table.classes),
        manifest=manifest[first],
        labels=pd.DataFrame(labels, index=ids, columns=list(table.classes))[first],
        boxes=no_boxes(),
        label_version=f"the files' own {content}",
        listed={},
        notes=tuple(notes),
    )


def join(
    table: ScoreTable,
    tune_table: ScoreTable | None,
    labels: Collection,
    *,
    allowed: Allowed,
    values: Values | None = None,
    tune_from_test: bool = False,
) -> Joined:
    """Join a file's scores with labels by image id, and give roles.

    Where the labels' table has roles (or official lists), images that are not test are left out, but for
    those of tune where nothing else is to be fitted on; otherwise all images are test.

    Args:
        table: the scores of the images that are tested on.
        tune_table: those of the images that calibration and thresholds are fitted on.
        labels: of the images of both, and of others.
        allowed: what is not refused.
        values: what the values are; None: found out.
        tune_from_test: half of the test patients become tune.

    Raises:
        UsageError: something is wrong with the scores that is not allowed; counts and the first example.
    """
    notes: list[str] = []
    classes, lacking = _classes(table, labels, allowed)
    tables = [table] if tune_table is None else [table, tune_table]
    kind = _kind(tables, values, notes)
    frames = [_cleaned(each, classes, labels, kind, allowed, notes) for each in tables]
    roles = _told_roles(labels)
    if tune_table is None:
        frames[0], given, tune_from = _roles(table, frames[0], roles, labels, tune_from_test, allowed, notes)
    else:
        given, tune_from = _roles_of_two(tables, frames, roles, labels, allowed, notes), "file"
    scores = pd.concat(frames).loc[given.index]
    task = Task(labels.task.kind, classes)
    logits = scores.to_numpy(np.float64)
    if kind == "probabilities":
        logits, extreme = logits_of(logits, task)
        if extreme:
            notes.append(f"{table.path.name}: probabilities of exactly 0 or 1: {extreme:,}.")
    if lacking:
        notes.append(f"{table.path.name}: findings without a score, left out: {', '.join(lacking)}.")
    if tune_from == "test_patients":
        notes.append(
            "Calibration and thresholds are fitted on half of the test file's patients; the others are test."
        )
    chosen = labels.only(given.index)
    empty = pd.Series([None] * len(given), index=given.index, dtype=object)
    return Joined(
        replace(
            chosen,
            task=task,
            manifest=chosen.manifest.assign(
                official=empty,
                role=given.astype(object),
                source=pd.Series("", index=given.index, dtype="str"),
            ),
            labels=chosen.labels[list(classes)],
            boxes=chosen.boxes[chosen.boxes["finding"].isin(classes)],
            listed={},
        ),
        pd.DataFrame(logits, index=given.index, columns=list(classes)),
        tune_from,
        lacking,
        tuple(notes),
    )


def _classes(
    table: ScoreTable, labels: Collection, allowed: Allowed
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The findings that are judged, in the order of the labels, and those without a score."""
    classes = tuple(name for name in labels.task.classes if name in table.classes)
    lacking = tuple(name for name in labels.task.classes if name not in table.classes)
    if not classes:
        raise UsageError(f"{table.path} has none of the labels' findings; name its columns like those.")
    if lacking and (not allowed.common_findings or labels.task.kind == "singlelabel"):
        raise UsageError(
            f"{table.path} has no scores of {len(lacking)} of the {len(labels.task.classes)} findings of the "
            f"labels, the first is {lacking[0]}; add them"
            + ("." if labels.task.kind == "singlelabel" else ", or give --common-findings.")
        )
    return classes, lacking


def _kind(tables: Sequence[ScoreTable], values: Values | None, notes: list[str]) -> Values:
    kinds: list[Values] = []
    for table in tables:
        kind, how = (values, "as asked") if values is not None else kind_of(table)
        notes.append(f"{table.path.name}: the values are taken for {kind}, {how}.")
        kinds.append(kind)
    if len(set(kinds)) > 1:
        names = " and ".join(table.path.name for table in tables)
        raise UsageError(
            f"The values of {names} look like {' and '.join(kinds)}; say with --values what both are."
        )
    return kinds[0]


def _cleaned(
    table: ScoreTable,
    classes: tuple[str, ...],
    labels: Collection,
    kind: Values,
    allowed: Allowed,
    notes: list[str],
) -> pd.DataFrame:
    """The scores of images with labels, one row each, all of them numbers."""
    name = table.path.name
    lacking = [each for each in classes if each not in table.classes]
    if lacking:
        raise UsageError(f"{table.path} has no scores of {lacking[0]}, which the other file has; add them.")
    if kind == "probabilities":
        if allowed.clip:
            outside = int(((table.scores < 0) | (table.scores > 1)).sum())
            if outside:
                notes.append(f"{name}: probabilities outside 0..1, clipped: {outside:,}.")
                table = replace(table, scores=table.scores.clip(0, 1))
        else:
            require_probabilities(table)
    ids = table.ids
    if ids is None:
        if len(labels.manifest) < len(table.scores) or table.labels is None:
            raise UsageError(f"{table.path} has no image ids, so that it cannot be joined with other labels.")
        ids = own_labels(table).manifest.index
    ids = _matched(ids, labels.manifest.index, name, notes)
    scores = pd.DataFrame(table.scores, index=ids, columns=list(table.classes))[list(classes)]
    again = ids.duplicated()
    if again.any():
        rows = f"{int(again.sum()):,} rows of images that it has before"
        if not allowed.keep_first_duplicate:
            raise UsageError(
                f"{table.path} has {rows}, the first is of {ids[again][0]}; leave one row an image, or give "
                "--keep-first-duplicate."
            )
        notes.append(f"{name}: {rows}, left out.")
        scores = scores[~again]
    known = set(labels.manifest.index)
    unknown = ~scores.index.map(known.__contains__).to_numpy(bool)
    if unknown.any():
        if not allowed.allow_missing:
            raise UsageError(
                f"{unknown.sum():,} of {len(scores):,} images of {table.path} have no labels, the first is "
                f"{scores.index[unknown][0]}; add them to the labels, or give --allow-missing."
            )
        notes.append(f"{name}: images without labels, left out: {unknown.sum():,}.")
        scores = scores[~unknown]
    gone = ~np.isfinite(scores.to_numpy()).all(axis=1)
    if gone.any():
        if not allowed.drop_nan:
            first = scores[gone].iloc[0]
            raise UsageError(
                f"{table.path} has {gone.sum():,} images with a score that is missing or not finite, the "
                f"first is {first.name}, {first.index[~np.isfinite(first)][0]}; mend it, or give --drop-nan."
            )
        notes.append(f"{name}: images with a score that is missing or not finite, left out: {gone.sum():,}.")
        scores = scores[~gone]
    if scores.empty:
        raise UsageError(
            f"Nothing is left of {table.path} to be scored; see that its image ids are the labels'."
        )
    return scores


def _matched(ids: pd.Index[str], known: pd.Index[str], name: str, notes: list[str]) -> pd.Index[str]:
    """Ids as the labels spell them: as they are or, where none is known so, without folders or endings."""
    if not set(known).isdisjoint(ids):
        return ids
    for how, spelled in (("without folders", _base), ("without folders and endings", _stem)):
        by_spelling = {spelled(each): each for each in known}
        here = ids.map(spelled)
        if len(by_spelling) == len(known) and not by_spelling.keys().isdisjoint(here):
            notes.append(f"{name}: image ids are compared {how}.")
            return pd.Index(
                [by_spelling.get(key, each) for key, each in zip(here, ids, strict=True)], dtype="str"
            )
    return ids


def _base(text: str) -> str:
    return text.replace("\\", "/").rpartition("/")[2]


def _stem(text: str) -> str:
    base = _base(text)
    return base.rpartition(".")[0] or base


def _told_roles(labels: Collection) -> pd.Series[str] | None:
    """The roles that the labels' table gives; None where it gives none."""
    if labels.manifest[["role", "official"]].isna().all(axis=None):
        return None
    return assign_roles(labels.manifest)


def _roles(
    table: ScoreTable,
    scores: pd.DataFrame,
    told: pd.Series[str] | None,
    labels: Collection,
    tune_from_test: bool,
    allowed: Allowed,
    notes: list[str],
) -> tuple[pd.DataFrame, pd.Series[str], TuneFrom]:
    """The scores that are used, the role of each image, and where those of tune come from."""
    ids = scores.index.sort_values()
    if told is None:
        roles = pd.Series("test", index=ids, name="role", dtype="str")
    else:
        wanted = ("test",) if tune_from_test else ("test", "tune")
        roles = told.loc[ids]
        others = ~roles.isin(wanted)
        if others.any():
            notes.append(
                f"{table.path.name}: images that are neither {' nor '.join(wanted)}: {others.sum():,}."
            )
        roles = roles[~others]
        _require_test(table, roles, told, allowed, notes)
    if tune_from_test:
        return scores, tune_of_test(labels.manifest["patient_id"].loc[roles.index]), "test_patients"
    return scores, roles, "roles" if (roles == "tune").any() else "none"


def _roles_of_two(
    tables: Sequence[ScoreTable],
    frames: Sequence[pd.DataFrame],
    told: pd.Series[str] | None,
    labels: Collection,
    allowed: Allowed,
    notes: list[str],
) -> pd.Series[str]:
    """The role of each image of two files; the first is test, the second tune."""
    both = frames[0].index.intersection(frames[1].index)
    if len(both):
        raise UsageError(
            f"{len(both):,} images, such as {both[0]}, are in {tables[0].path} and in {tables[1].path}; "
            "nothing must be fitted on what is tested on."
        )
    test, tune = frames[0].index, frames[1].index
    if told is not None:
        among_test = tune[told.loc[tune] == "test"]
        if len(among_test):
            raise UsageError(
                f"{len(among_test):,} images of {tables[1].path}, such as {among_test[0]}, are test by the "
                "labels' table; fit on others."
            )
        others = told.loc[test] != "test"
        if others.any():
            notes.append(f"{tables[0].path.name}: images that are not test: {others.sum():,}.")
        test = test[~others.to_numpy()]
        _require_test(tables[0], pd.Series("test", index=test), told, allowed, notes)
    patients = labels.manifest["patient_id"]
    shared = set(patients.loc[test]) & set(patients.loc[tune])
    if shared:
        raise UsageError(
            f"{len(shared):,} patients, such as {min(shared)}, have images in {tables[0].path} and in "
            f"{tables[1].path}; fit on other patients, or give --tune-from-test patients."
        )
    roles = pd.Series([*["test"] * len(test), *["tune"] * len(tune)], index=test.append(tune), dtype="str")
    return roles.rename("role").sort_index()


def _require_test(
    table: ScoreTable, roles: pd.Series[str], told: pd.Series[str], allowed: Allowed, notes: list[str]
) -> None:
    """Refuse a file that lacks test images of the table or the lists, or has none."""
    test = told.index[told == "test"]
    here = set(roles.index[roles == "test"])
    missing = [image_id for image_id in test if image_id not in here]
    if not here:
        raise UsageError(f"{table.path} has no image that is test by the labels' table; score those.")
    if missing:
        if not allowed.allow_missing:
            raise UsageError(
                f"{len(missing):,} of {len(test):,} test images have no score in {table.path}, the first is "
                f"{missing[0]}; add them, or give --allow-missing."
            )
        notes.append(f"{table.path.name}: test images without a score, left out: {len(missing):,}.")
