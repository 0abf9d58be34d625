"""Runs side by side on one test set, and what of it each gets wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.comparing.stored import StoredRun
from cxrbench.errors import UsageError
from cxrbench.evaluation.cohort import Cohort
from cxrbench.report.names import apart, system

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    BoolArray = NDArray[np.bool_]
    IntArray = NDArray[np.int64]

IMAGES, DECISIONS = "images", "decisions"
"""What is asked of whole images, and of all decisions about findings together."""


@dataclass(frozen=True)
class Member:
    """A run of a panel.

    Attributes:
        letter: that stands for it where a name has no room.
        run_id: its id.
        name: what sets it apart from the others.
        probabilities: ``[n, c]``, what its decisions were made from.
        decisions: ``[n, c]``, 1, 0 or NaN (undecided), as deployed.
        thresholds: ``[c]``; NaN where there is none.
    """

    letter: str
    run_id: str
    name: str
    probabilities: FloatArray
    decisions: FloatArray
    thresholds: FloatArray


@dataclass(frozen=True)
class Question:
    """Something that every run answers, rightly or wrongly, about some units: images, or decisions on them.

    Attributes:
        name: ``images``, ``decisions`` or a finding.
        wrong: ``[m, k]``, which runs are wrong about which unit.
        called: ``[m, k]``, the answers, as numbers of categories.
        rows: ``[k]``, the image of each unit.
        left_out: units without a known label, or that a run leaves undecided.
    """

    name: str
    wrong: BoolArray
    called: IntArray
    rows: IntArray
    left_out: int


@dataclass(frozen=True)
class Panel:
    """Runs on one test set.

    Attributes:
        cohort: the test set.
        members: the runs, in the order they were named.
        common: what all have in common, in words.
    """

    cohort: Cohort
    members: tuple[Member, ...]
    common: str = ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the ``c`` classes."""
        return self.cohort.task.classes

    @property
    def multilabel(self) -> bool:
        """Whether every class is its own question; otherwise exactly one class of an image is right."""
        return self.cohort.task.kind == "multilabel"

    @cached_property
    def counted(self) -> BoolArray:
        """``[n, c]``: the label is known, and every run has decided."""
        known = ~np.isnan(self.cohort.labels)
        decided = ~np.isnan([member.decisions for member in self.members]).any(axis=0)
        counted: BoolArray = known & decided
        # Of one right class, part of an answer is none.
        return counted if self.multilabel else counted & counted.all(axis=1, keepdims=True)

    @cached_property
    def wrong(self) -> BoolArray:
        """``[m, n, c]``: the decision is not the label; False where not counted."""
        decisions = np.stack([member.decisions for member in self.members])
        wrong: BoolArray = (decisions != self.cohort.labels) & self.counted
        return wrong

    @cached_property
    def probabilities(self) -> FloatArray:
        """``[m, n, c]``."""
        return np.stack([member.probabilities for member in self.members])

    @cached_property
    def hardness(self) -> FloatArray:
        """The Brier score of each image ``[n]``, a sum over its known classes, and the mean over runs.

        ``sum over classes of (p - y) ** 2``. Brier, "Verification of Forecasts Expressed in Terms of
        Probability", 1950.
        """
        squares = (self.probabilities - self.cohort.labels) ** 2
        hardness: FloatArray = np.nansum(squares, axis=2).mean(axis=0)
        return hardness

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        """What is asked: of images, of all decisions (multi-label), and of each finding.

        An image is wrong where any of its counted decisions is. Of one right class, a class's question is
        asked of the images that are of it.
        """
        names, labels, counted = self.classes, self.cohort.labels, self.counted
        decisions = np.stack([member.decisions for member in self.members])
        called = (decisions == 1) & counted
        wrong_image: BoolArray = np.asarray(self.wrong.any(axis=2))
        asked = [self._question(IMAGES, wrong_image, _patterns(called), np.asarray(counted.any(axis=1)))]
        if self.multilabel:
            flat = (len(self.members), -1)
            pooled = self._question(
                DECISIONS, self.wrong.reshape(flat), called.reshape(flat).astype(np.int64), counted.ravel()
            )
            asked.append(
                Question(pooled.name, pooled.wrong, pooled.called, pooled.rows // len(names), pooled.left_out)
            )
        for column, name in enumerate(names):
            if self.multilabel:
                whom, answers = counted[:, column], called[:, :, column].astype(np.int64)
                asked.append(self._question(name, self.wrong[:, :, column], answers, whom))
            else:
                whom = counted[:, column] & (labels[:, column] == 1)
                answers = called.argmax(axis=2)
                asked.append(self._question(name, wrong_image, answers, whom, left_out=0))
        return tuple(asked)

    def _question(
        self, name: str, wrong: BoolArray, called: IntArray, of: BoolArray, left_out: int | None = None
    ) -> Question:
        (rows,) = np.nonzero(of)
        missing = int((~of).sum()) if left_out is None else left_out
        return Question(name, wrong[:, rows], called[:, rows], rows, missing)


def _patterns(called: BoolArray) -> IntArray:
    """A number ``[m, n]`` for each combination of classes that is called, ``[m, n, c]``."""
    packed = np.packbits(called, axis=2)
    _, numbers = np.unique(packed.reshape(-1, packed.shape[2]), axis=0, return_inverse=True)
    return numbers.reshape(called.shape[:2]).astype(np.int64)


def panel_of(runs: Sequence[StoredRun]) -> Panel:
    """Put runs side by side; test labels are read through the log.

    Raises:
        UsageError: a run is named twice, or two are not of the same test images, findings and labels.
    """
    if len({run.run_id for run in runs}) < len(runs):
        raise UsageError("A run is named twice; name each once.")
    for run in runs[1:]:
        _require_same(runs[0], run)
    common, names = apart([run.record for run in runs])
    if len(runs) == 1:
        common, names = "", [system(runs[0].record)]
    elif len({name for name in names if name}) < len(runs):
        names = [run.run_id for run in runs]
    first = runs[0].probabilities.index
    members = [
        Member(
            _letter(place),
            run.run_id,
            name,
            run.probabilities.loc[first].to_numpy(np.float64),
            run.decisions,
            run.thresholds,
        )
        for place, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    return Panel(runs[0].cohort, tuple(members), common)


def _letter(place: int) -> str:
    """A, B and so on; after Z comes A1."""
    return chr(ord("A") + place % 26) + (str(place // 26) if place >= 26 else "")


def _require_same(first: StoredRun, other: StoredRun) -> None:
    """Refuse runs of different test sets, and say where they differ."""
    if first.record["passport"]["id"] == other.record["passport"]["id"]:
        return
    ours, theirs = first.probabilities, other.probabilities
    if first.task.kind != other.task.kind:
        why = f"one is {first.task.kind}, the other {other.task.kind}"
    elif set(ours.index) != set(theirs.index):
        why = _lacking("image", ours.index.tolist(), theirs.index.tolist())
    elif first.task.classes != other.task.classes:
        why = (
            _lacking("finding", first.task.classes, other.task.classes)
            or "their findings are in another order"
        )
    else:
        left, right = first.labels, other.labels
        rows, columns = np.nonzero((left != right) & ~(np.isnan(left) & np.isnan(right)))
        # Images are sorted by id in every run.
        place = f"; the first is {ours.columns[columns[0]]} of {ours.index[rows[0]]}" if len(rows) else ""
        why = f"{len(rows):,} labels of {len(set(rows.tolist())):,} images differ{place}"
    raise UsageError(
        f"{first.run_id} and {other.run_id} are not of one test set: {why}. Score both on the same images "
        "with the same labels."
    )


def _lacking(what: str, ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How many things only one side has, and the first of them."""
    parts = []
    for side, lacking in (("first", set(ours) - set(theirs)), ("second", set(theirs) - set(ours))):
        if lacking:
            plural = "s" if len(lacking) > 1 else ""
            parts.append(f"{len(lacking):,} {what}{plural} only the {side} has, such as {min(lacking)}")
    return ", and ".join(parts)
