"""Stored runs as members of an ensemble: what each has predicted and was fitted on, joined by image id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.collection import Collection
from cxrbench.datasets.tables import no_boxes
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.predictions import Predictions
from cxrbench.roles import Role
from cxrbench.store import Artifact, Store
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Member:
    """A stored run, as an ensemble sees it.

    Attributes:
        store: where it is.
        record: its ``run.json``, with its latency where that is asked for.
    """

    store: Store
    record: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.record["run_id"])

    def cost(self, name: str) -> float:
        """What the run says that it costs; NaN where it does not."""
        value = self.record.get(name)
        return float("nan") if value is None else float(value)

    def predicted_by(self, role: Role) -> str:
        """The id of the step that holds its predictions on tune or test."""
        parents = self._evaluation if role == "test" else self._calibration
        return next(each for each in parents if each.split("/")[0] not in ("labels", "threshold"))

    def predictions(self, role: Role) -> Predictions:
        """Its predictions on tune or test."""
        return Predictions.read(self.store.read(self.predicted_by(role)).folder / "predictions.parquet")

    def labels(self, role: Role) -> pd.DataFrame:
        """The labels of tune or test that it was fitted or tested on, by image id."""
        parents = self._evaluation if role == "test" else self._calibration
        (step,) = (each for each in parents if each.startswith("labels/"))
        found = self.store.read(step)
        table = pd.read_parquet(found.folder / "labels.parquet").set_index("image_id")
        if found.record["inputs"]["role"] != role:
            raise UsageError(
                f"{self.run_id} is fitted on {found.record['inputs']['role']}, on which its epoch was "
                "selected too, so that no image is left to search an ensemble on; run it with --tune tune."
            )
        self.store.log_label_read(role, step, f"join/{self.run_id}", "evaluate")
        return table

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """Its images with patient, facts and role, by image id."""
        table: pd.DataFrame = pd.read_parquet(
            self.store.read(self.manifest_step).folder / "manifest.parquet"
        ).set_index("image_id")
        return table

    @cached_property
    def manifest_step(self) -> str:
        """The id of the step that holds the manifest.

        Raises:
            UsageError: the run is tested on another data set than it was fitted on.
        """
        run = self.store.read(f"run/{self.run_id}")
        found = [each for each in run.record["parents"] if each.startswith("manifest/")]
        if len(found) != 1:
            raise UsageError(
                f"{self.run_id} is tested on another data set than it was fitted on, and ensembles of such "
                "runs are not made: patients of the two data sets cannot be kept apart."
            )
        return str(found[0])

    @cached_property
    def _evaluation(self) -> list[str]:
        (found,) = (each for each in self.record["artifacts"] if each.startswith("evaluate/"))
        return _parents(self.store.read(found))

    @cached_property
    def _calibration(self) -> list[str]:
        threshold = next(each for each in self._evaluation if each.startswith("threshold/"))
        calibration = next(
            each for each in _parents(self.store.read(threshold)) if each.startswith("calibrate/")
        )
        return _parents(self.store.read(calibration))


def _parents(artifact: Artifact) -> list[str]:
    return list(artifact.record["parents"])


@dataclass(frozen=True)
class JoinedMembers:
    """Runs that can be combined.

    Attributes:
        members: the runs, sorted by id.
        task: that all have.
        collection: the images that every run is fitted on (role ``tune``) or tested on (``test``), none of
            whose patients any run saw in training or validation.
        notes: sentences on what was left out and what is odd.
    """

    members: tuple[Member, ...]
    task: Task
    collection: Collection
    notes: tuple[str, ...]

    def logits(self, role: Role, image_ids: pd.Index[str]) -> FloatArray:
        """Logits ``[m, n, c]`` of a role's images.

        Raises:
            CxrbenchError: a run has no prediction, or none that is finite, of an image; counted and named.
        """
        found = []
        for member in self.members:
            try:
                matrix = member.predictions(role).matrix(image_ids)
            except CxrbenchError as error:
                raise CxrbenchError(f"{member.run_id} on {role}: {error}") from error
            broken = np.asarray(~np.isfinite(matrix).all(axis=1))
            if broken.any():
                raise CxrbenchError(
                    f"{member.run_id} has scores that are not finite of {int(broken.sum())} of {len(broken)} "
                    f"{role} images, the first is {image_ids[broken][0]}; leave the run out."
                )
            found.append(matrix)
        return np.stack(found)


def join_members(members: Sequence[Member], min_positives: int) -> JoinedMembers:
    """Join runs by image id.

    Args:
        members: the runs.
        min_positives: how many positives, and negatives, each finding needs among the images that all runs
            are fitted on.

    Raises:
        UsageError: a run is named twice; runs differ in their findings, in their test images, or in labels or
            patients of images that both have; or too few images are left to search on. Mismatches are
            counted and the first is named.
    """
    members = sorted(members, key=lambda member: member.run_id)
    for first, second in pairwise(members):
        if first.run_id == second.run_id:
            raise UsageError(f"{first.run_id} is named twice; a member's weight says how much it counts.")
    task = members[0].predictions("test").task
    for member in members[1:]:
        other = member.predictions("test").task
        if other != task:
            raise UsageError(
                f"{members[0].run_id} and {member.run_id} predict different things: "
                f"{task.kind} {', '.join(task.classes)}; {other.kind} {', '.join(other.classes)}."
            )
    test = [member.labels("test") for member in members]
    for member, table in zip(members, test, strict=True):
        _require_same_images(members[0], test[0].index, member, table.index)
    tune = [member.labels("tune") for member in members]
    common = _common(members, [table.index for table in tune])
    for role, tables, ids in (("test", test, test[0].index), ("tune", tune, common.ids)):
        for member, table in zip(members[1:], tables[1:], strict=True):
            _require_same_labels(role, ids, members[0], tables[0], member, table)
    ids = common.ids.union(test[0].index).sort_values()
    for member in members[1:]:
        _require_same_patients(ids, members[0], member)
    labels = pd.concat([tune[0].loc[common.ids], test[0]]).loc[ids]
    _require_positives(labels.loc[common.ids], min_positives)
    manifest = members[0].manifest.loc[ids].copy()
    manifest["role"] = np.where(ids.isin(common.ids), "tune", "test")
    # Nothing here looks at images.
    manifest["source"] = ""
    passport = members[0].record["passport"]
    collection = Collection(
        name=passport["dataset"],
        task=task,
        manifest=manifest,
        labels=labels,
        boxes=no_boxes(),
        label_version=passport["label_version"],
        listed=dict(members[0].record.get("listed", {})),
    )
    alone = ("There is one member: the ensemble is that run.",) if len(members) == 1 else ()
    return JoinedMembers(tuple(members), task, collection, (*alone, *common.notes))


@dataclass(frozen=True)
class _Common:
    ids: pd.Index[str]
    notes: tuple[str, ...]


def _common(members: Sequence[Member], tune: Sequence[pd.Index[str]]) -> _Common:
    """The images that are tune of every run, without patients that any run trained, selected or tests on."""
    ids = tune[0]
    for other in tune[1:]:
        ids = ids.intersection(other)
    ids = ids.sort_values()
    seen: set[str] = set()
    for member in members:
        roles = member.manifest["role"]
        seen |= set(member.manifest.loc[roles != "tune", "patient_id"].tolist())
    clean = ~members[0].manifest.loc[ids, "patient_id"].isin(list(seen))
    kept = ids[clean.to_numpy()]
    notes = [
        f"{len(each) - len(kept):,} of the {len(each):,} tune images of {member.run_id} are not searched on: "
        "they are not tune of every member, or their patient is train, val or test of one."
        for member, each in zip(members, tune, strict=True)
        if len(each) > len(kept)
    ]
    if not len(kept):
        counts = ", ".join(f"{len(each):,} of {m.run_id}" for m, each in zip(members, tune, strict=True))
        raise UsageError(
            "No image is tune of every member with a patient that none of them trained, selected or is "
            f"tested on (tune images: {counts}; in common: {len(ids):,}). Runs need the same --split, or "
            "score them with --tune-file or --tune-from-test patients."
        )
    return _Common(kept, tuple(notes))


def _require_same_images(first: Member, ids: pd.Index[str], member: Member, other: pd.Index[str]) -> None:
    lacking, more = ids.difference(other), other.difference(ids)
    if len(lacking) or len(more):
        parts = [
            f"{len(each):,} are only in that of {run.run_id}, such as {each[0]}"
            for each, run in ((lacking, first), (more, member))
            if len(each)
        ]
        raise UsageError(
            f"{first.run_id} and {member.run_id} are not tested on the same images: {' and '.join(parts)}. "
            "Score both on one test set."
        )


def _require_same_labels(
    role: str, ids: pd.Index[str], first: Member, ours: pd.DataFrame, member: Member, theirs: pd.DataFrame
) -> None:
    a, b = (table.loc[ids].to_numpy(np.float64) for table in (ours, theirs))
    differing = ((a != b) & ~(np.isnan(a) & np.isnan(b))).any(axis=1)
    if differing.any():
        raise UsageError(
            f"{first.run_id} and {member.run_id} have different labels of {int(differing.sum()):,} of "
            f"{len(ids):,} {role} images, such as {ids[differing][0]}; score both with the same labels."
        )


def _require_same_patients(ids: pd.Index[str], first: Member, member: Member) -> None:
    a, b = (each.manifest.loc[ids, "patient_id"].to_numpy(str) for each in (first, member))
    if (differing := a != b).any():
        raise UsageError(
            f"{first.run_id} and {member.run_id} have different patients of {int(differing.sum()):,} of "
            f"{len(ids):,} images, such as {ids[differing][0]}; score both with the same table."
        )


def _require_positives(labels: pd.DataFrame, least: int) -> None:
    few = []
    for finding, column in labels.items():
        positives, negatives = int((column == 1).sum()), int((column == 0).sum())
        if min(positives, negatives) < least:
            few.append(f"{finding} {positives:,} and {negatives:,}")
    if few:
        raise UsageError(
            f"On the {len(labels):,} images that an ensemble can be searched on, too few are positive "
            f"or negative: {'; '.join(few)} (at least {least} of each are needed). Give members more tune "
            "images in common, or a smaller --min-positives."
        )
