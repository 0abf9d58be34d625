"""What a data set hands over: a manifest, labels, boxes, and what the user should know about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

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

    ``label_conflict`` (two rows of an image disagree) is serious: no run trains on such data, an audit
    exits 1. The others are handled as their note says, and only counted: ``duplicate_rows`` (a row
    repeats word for word; kept once), ``missing_rows`` (images without a row in the table; left out),
    ``unlisted_images`` (images in no official list; left out), ``incomplete_rows`` (rows without image,
    patient or labels), ``implausible_age`` (ages that are no text of an age, or too old; unknown).

    Attributes:
        kind: what it is, in snake_case.
        count: how many images or rows.
        examples: some of them by name, at most :data:`EXAMPLES`.
        serious: whether a run refuses the data.
    """

    kind: str
    count: int
    examples: tuple[str, ...]
    serious: bool = False


EXAMPLES = 5
"""How many images a problem names."""


def problem(kind: str, images: Iterable[str], *, serious: bool = False) -> tuple[Problem, ...]:
    """One problem of that kind with some images as examples; none where there are no images."""
    found = sorted(images)
    return (Problem(kind, len(found), tuple(found[:EXAMPLES]), serious),) if found else ()


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

    def __post_init__(self) -> None:
        """Check what every later stage relies on."""
        problems = []
        if tuple(self.manifest.columns) != MANIFEST_COLUMNS:
            problems.append(f"the manifest's columns are {list(self.manifest.columns)}")
        else:
            for column, known in (("official", OFFICIAL), ("role", ROLES)):
                if not set(self.manifest[column].dropna()) <= set(known):
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
