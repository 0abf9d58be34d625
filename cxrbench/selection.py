"""What a run uses of a data set: which images, with which labels, in which roles.

Images and roles follow from the data set as it is published, and labels that are laid over it change
labels alone: a corrected test label trains nothing again. Where a run is tested on another data set, its
exclusions and labels hold for both; an id that is of neither is refused only where all are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from cxrbench.collection import Collection
from cxrbench.errors import UsageError
from cxrbench.findings import class_of
from cxrbench.interfaces import Dataset, Sampler, TaskDefinition, TaskLabels
from cxrbench.label_overlay import LabelOverlay
from cxrbench.options import Use, make
from cxrbench.registry import Registry
from cxrbench.roles import Split, assign_roles
from cxrbench.samplers.none import NoSampler
from cxrbench.specs import RunSpec, check, keyed
from cxrbench.task import Task
from cxrbench.tasks.findings import Findings
from cxrbench.training.randomness import hash_ids, sampler_draws


@dataclass(frozen=True)
class Selection:
    """Which images of a data set are used, with which labels and in which roles.

    Attributes:
        split: how roles are given, see :func:`cxrbench.roles.assign_roles`.
        exclude: ids of images that are left out.
        overlay: labels that take the place of the data set's.
        sampler: leaves out images too, before roles are given.
        sampler_name: the sampler with its options, for people.
        definition: what the task is, and which images have a place in it.
        classes: those of the task that the network tells, in its order; empty where it learns them.
        images_per_role: at most so many images of each role are used; 0 uses all.
    """

    split: Split = "official"
    exclude: frozenset[str] = frozenset()
    overlay: LabelOverlay | None = None
    sampler: Sampler = field(default_factory=NoSampler)
    sampler_name: str = "none"
    definition: TaskDefinition = field(default_factory=Findings)
    classes: tuple[str, ...] = ()
    images_per_role: int = 0

    root_option: ClassVar[str] = "--data-root"
    """What gives the folder of the data set's files."""

    @property
    def files(self) -> tuple[list[str], str]:
        """What its files say, as part of a key."""
        return sorted(self.exclude), self.overlay.version if self.overlay else ""

    def of(self, collection: Collection) -> Selected:
        """What is left of a data set.

        Raises:
            UsageError: the labels or the sampler do not fit the data set.
        """
        whole, notes = collection.manifest, [*collection.notes]
        own = collection.labels[~whole.index.isin(list(self.exclude))]
        excluded = len(whole) - len(own)
        if self.exclude:
            strangers = len(self.exclude) - excluded
            absent = f"; {strangers:,} more ids name none at hand" if strangers else ""
            notes.append(f"Images excluded by name: {excluded:,}{absent}.")
        # By the data set's own labels, so that corrected ones do not change which images stand where.
        asked, left_out = self._asked(collection.task, own)
        if left_out:
            notes.append(f"Left out, as the network does not tell them: {', '.join(left_out)}.")
        task, placed = asked.task, own.index[asked.kept]
        if len(placed) < len(own):
            notes.append(f"Images with a place in the task: {len(placed):,} of {len(own):,}.")
        labels = pd.DataFrame(asked.labels[asked.kept], index=placed, columns=list(task.classes))
        draws = sampler_draws(hash_ids(placed.tolist()), "subset")
        kept = self.sampler.subset(labels.to_numpy(), task.classes, draws)
        if not kept.all():
            notes.append(f"The sampler {self.sampler_name} uses {kept.sum():,} of {len(kept):,} images.")
        labels = labels[kept].sort_index()
        left = replace(collection.only(labels.index), notes=tuple(notes))
        if self.split == "image":
            roles = assign_roles(left.manifest, labels, "image")
        else:
            # Of all images, so that what is left out decides no role of the others.
            roles = assign_roles(whole, split=self.split).loc[labels.index]
        if self.images_per_role:
            roles = _first(roles, self.images_per_role)
            note = f"At most {self.images_per_role:,} images of each role are used: figures tell nothing."
            left = replace(left.only(roles.index), notes=(*left.notes, note))
        left = self._defined(self._relabelled(left))
        return Selected(left, roles, whole.index, excluded, int((~kept).sum()), len(own) - len(placed))

    def _defined(self, collection: Collection) -> Collection:
        """With the labels of the task; unknown where labels laid over leave an image no place in it."""
        asked, _ = self._asked(collection.task, collection.labels)
        values = np.where(asked.kept[:, None], asked.labels, np.nan).astype(np.float32)
        labels = pd.DataFrame(values, index=collection.labels.index, columns=list(asked.task.classes))
        return replace(collection, task=asked.task, labels=labels)

    def _asked(self, own: Task, labels: pd.DataFrame) -> tuple[TaskLabels, list[str]]:
        """The task with its labels, and what of it the network does not tell.

        Raises:
            UsageError: the data do not allow the task, or lack a class that the network tells.
        """
        asked = self.definition.define(own, labels.to_numpy(np.float64))
        if not self.classes:
            return asked, []
        known = asked.task.classes
        told = {name: class_of(name, known) for name in self.classes}
        lacking = [name for name, meant in told.items() if meant is None]
        if lacking or asked.task.kind != "multilabel":
            what = f"no {', '.join(lacking)}" if lacking else "one right class for each image"
            raise UsageError(
                f"The network tells {', '.join(self.classes)}, and the data have {what}; give its option "
                "that names the findings, or other data."
            )
        classes = tuple(meant for meant in told.values() if meant is not None)
        columns = [known.index(name) for name in classes]
        task = replace(asked.task, classes=classes)
        left_out = [name for name in known if name not in classes]
        return replace(asked, task=task, labels=asked.labels[:, columns]), left_out

    def _relabelled(self, collection: Collection, of: str = "") -> Collection:
        """With the overlay's labels where it tells of an image; the note on it begins with ``of``."""
        if self.overlay is None or set(self.overlay.image_ids).isdisjoint(collection.labels.index):
            return collection
        labels, note = self.overlay.apply(collection.labels, collection.task)
        version = f"{collection.label_version} + {self.overlay.version}"
        return replace(
            collection, labels=labels, label_version=version, notes=(*collection.notes, f"{of}{note}")
        )

    def require_matches(self, *selected: Selected) -> None:
        """Refuse files of ids that name no image of what was selected from, in any of these data sets.

        Raises:
            UsageError: none of the excluded images, or none of those with other labels, is at hand.
        """
        files: dict[str, Iterable[str]] = {
            "--exclude": self.exclude,
            "--labels": [] if self.overlay is None else self.overlay.image_ids,
        }
        for option, ids in files.items():
            if set(ids) and all(set(ids).isdisjoint(each.image_ids) for each in selected):
                raise UsageError(
                    f"The file of {option} names no image at hand: its ids are like {min(ids)}, the data's "
                    f"like {selected[0].image_ids.min()}; correct its ids."
                )


@dataclass(frozen=True)
class Selected:
    """A data set after a selection.

    Attributes:
        collection: what is left, sorted by image id.
        roles: the role of each image.
        image_ids: of all images of the data set, those that were left out too.
        excluded: how many images were left out by name.
        sampled_out: how many images the sampler left out.
        without_place: how many images have no place in the task.
    """

    collection: Collection
    roles: pd.Series[str]
    image_ids: pd.Index[str]
    excluded: int
    sampled_out: int
    without_place: int = 0


def selection_of(spec: RunSpec, registry: Registry) -> Selection:
    """The selection that a run asks for, its files read.

    Raises:
        UsageError: a file is missing or not what it should be.
    """
    sampler = keyed(spec.sampler, "sampler", registry)
    return Selection(
        split=spec.split,
        exclude=read_exclusions(Path(spec.exclude)) if spec.exclude else frozenset(),
        overlay=LabelOverlay.read(Path(spec.labels)) if spec.labels else None,
        sampler=make(spec.sampler, "sampler", registry),
        sampler_name=str(Use(name=sampler["name"], options=sampler["options"])),
        definition=make(spec.task, "task", registry),
        images_per_role=spec.images_per_role,
    )


def _first(roles: pd.Series[str], number: int) -> pd.Series[str]:
    """Of each role the images, in the same order, that come first by draws that follow from their ids."""
    draws = pd.Series(sampler_draws(hash_ids(roles.index), "few"), index=roles.index)
    return roles[draws.groupby(roles).rank(method="first") <= number]


@dataclass(frozen=True)
class Reading:
    """A data set that was read, and what is selected of it, for a command that looks and makes no run.

    Attributes:
        dataset: the component, which decodes its images.
        whole: all that it gives.
        selection: what was asked for.
        selected: what is left.
    """

    dataset: Dataset
    whole: Collection
    selection: Selection
    selected: Selected


def read_selected(given: Mapping[str, object], root: Path | None, registry: Registry) -> Reading:
    """Read a data set and select of it what a run with these settings would use.

    Args:
        given: fields of :class:`cxrbench.specs.RunSpec` about data; those that are None or missing are as the
            data set recommends, or the default.
        root: folder of the data set's files.
        registry: where components are found.

    Raises:
        UsageError: a setting is wrong, or a file of labels or exclusions is missing or does not fit.
        CxrbenchError: the data set cannot be read.
    """
    asked = {name: value for name, value in given.items() if value is not None}
    dataset: Dataset = make(check(asked).dataset, "dataset", registry)
    # Not specs.resolve, which looks into every component of a run and so imports torch.
    recommended = {name: value for name, value in dataset.recommend().items() if name in given}
    selection = selection_of(check({**recommended, **asked}), registry)
    whole = dataset.read(root)
    selected = selection.of(whole)
    selection.require_matches(selected)
    return Reading(dataset, whole, selection, selected)


def read_exclusions(path: Path) -> frozenset[str]:
    """Image ids of a text file, one a line; empty lines and those that start with ``#`` do not count.

    Raises:
        UsageError: the file is missing or no text.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}; --exclude takes a text file of image ids, one a line.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text; --exclude takes image ids, one a line.") from error
    return frozenset(line for line in lines if line and not line.startswith("#"))
