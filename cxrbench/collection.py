"""What a data set hands over: a manifest, labels, boxes, and what the user should know about them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from cxrbench.errors import CxrbenchError
from cxrbench.roles import ROLES
from cxrbench.task import Task

MANIFEST_COLUMNS = ("patient_id", "age", "sex", "view", "official", "role", "source")
OFFICIAL = ("train_val", "test")
BOX_COLUMNS = ("image_id", "finding", "x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd about a data set that was found while its tables were read, for an audit to report.

    Serious are ``label_conflict`` and ``row_conflict`` (rows of one image have different labels, or a
    different patient, age, sex or view) and ``unknown_label`` (a label that names no class): nobody but the
    user can tell what is right, so no run uses such data. The labels of these images are unknown (NaN).

    The others are handled, and counted so that an audit can tell: ``duplicate_rows`` (rows of an image
    that agree; one is kept), ``incomplete_rows`` (without image, patient or labels; left out),
    ``missing_rows`` (images without a row in the table; left out), ``unlisted_images`` (images in no
    list; left out), ``four_channel_images`` (left out where the data set's option says so),
    ``implausible_age`` (an age that is none, or of over 120 years; unknown).

    Attributes:
        kind: what it is, in snake_case.
        found: all images or rows that have it, by name; what is serious names images by their id.
        serious: whether a run refuses the data.
        told: what else is to be said of some of them, by name.
    """

    kind: str
    found: tuple[str, ...]
    serious: bool = False
    told: Mapping[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many images or rows."""
        return len(self.found)

    @property
    def examples(self) -> tuple[str, ...]:
        """Some of them, at most :data:`EXAMPLES`, with what is told of them."""
        return tuple(
            f"{name}: {self.told[name]}" if name in self.told else name for name in self.found[:EXAMPLES]
        )

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"kind": self.kind, "count": self.count, "examples": self.examples, "serious": self.serious}

    def without(self, images: Container[str]) -> Problem:
        """What is left of it where these images are left out."""
        return replace(self, found=tuple(name for name in self.found if name not in images))


EXAMPLES = 5
"""How many images a problem names."""


class Oddities:
    """Collects what is odd about tables while they are read: problems, and a note on each for the user."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def add(
        self,
        kind: str,
        found: Iterable[str],
        note: str = "",
        *,
        serious: bool = False,
        told: Mapping[str, str] | None = None,
    ) -> None:
        """Add a problem of these images or rows, if any; ``{}`` in the note stands for their number."""
        found = sorted(found)
        if found:
            self.problems.append(Problem(kind, tuple(found), serious, told or {}))
            self.notes += [note.format(f"{len(found):,}")] if note else []


@dataclass(frozen=True, slots=True)
class Collection:
    """The tables of a data set, one row an image that is at hand.

    Attributes:
        name: name of the data set as tables show it.
        task: the classes and how they are decided.
        manifest: indexed by ``image_id`` (unique strings); ``patient_id`` string, ``age`` in years
            (float, NaN unknown), ``sex`` ``M``/``F``/None, ``view`` ``PA``/``AP``/None, ``official``
            ``train_val``/``test``/None where there is no such list, ``role`` the data set's own
            ``train``/``val``/``tune``/``test``, None where it gives none, ``source`` path below the data
            root (empty for drawn images).
        labels: float32, indexed like the manifest, one column a class; 1, 0, NaN unknown.
        boxes: one row an annotated box: ``image_id``, ``finding``, and ``x``, ``y`` (top left),
            ``width``, ``height`` as shares 0..1 of the image's width and height.
        label_version: which labels these are, as the passport shows it.
        listed: how many images each official list names, present here or not.
        notes: sentences that the user should read once before the run.
        problems: what an audit reports; a run refuses data with a serious one.
        drawn: whether the images are drawn, so that figures say nothing about patients.
    """

    name: str
    task: Task
    manifest: pd.DataFrame
    labels: pd.DataFrame
    boxes: pd.DataFrame
    label_version: str
    listed: dict[str, int]
    notes: tuple[str, ...] = field(default=())
    problems: tuple[Problem, ...] = field(default=())
    drawn: bool = False

    def only(self, image_ids: pd.Index[str]) -> Collection:
        """These of its images, in this order; what is serious about the others does not matter then."""
        # Iterating text in pandas takes 20 times as long as tolist().
        kept = set(image_ids.tolist())
        gone = set(self.manifest.index.tolist()) - kept
        problems = (found.without(gone) if found.serious else found for found in self.problems)
        return replace(
            self,
            manifest=self.manifest.loc[image_ids],
            labels=self.labels.loc[image_ids],
            # Plain sets: pandas' isin takes seconds on text.
            boxes=self.boxes[self.boxes["image_id"].map(kept.__contains__).astype(bool)],
            problems=tuple(found for found in problems if found.found),
        )

    def require_sound(self) -> None:
        """Refuse data on which no run should be based.

        Raises:
            CxrbenchError: there is a serious problem; the sentence says how many images have it, and some.
        """
        serious = [problem for problem in self.problems if problem.serious]
        if serious:
            told = "; ".join(f"{p.kind} ({p.count:,}, such as {', '.join(p.examples)})" for p in serious)
            raise CxrbenchError(
                f"The data set '{self.name}' contradicts itself: {told}; correct its tables, "
                "'cxrbench data audit' tells more."
            )

    def __post_init__(self) -> None:
        """Check what every later stage relies on."""
        problems = []
        if tuple(self.manifest.columns) != MANIFEST_COLUMNS:
            problems.append(f"the manifest's columns are {list(self.manifest.columns)}")
        else:
            for column, known in (("official", OFFICIAL), ("role", ROLES)):
                if not set(self.manifest[column].dropna().unique()) <= set(known):
                    problems.append(f"the manifest's '{column}' has values besides {', '.join(known)}")
        if not self.manifest.index.is_unique:
            problems.append("image ids repeat")
        if not self.manifest.index.equals(self.labels.index):
            problems.append("labels and manifest have different images")
        if tuple(self.labels.columns) != self.task.classes:
            problems.append("the labels' columns are not the task's classes")
        if tuple(self.boxes.columns) != BOX_COLUMNS:
            problems.append(f"the boxes' columns are {list(self.boxes.columns)}")
        if problems:
            raise CxrbenchError(f"The data set '{self.name}' is not well-formed: {'; '.join(problems)}.")
