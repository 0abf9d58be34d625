"""Checks of tasks (:class:`cxrbench.interfaces.TaskDefinition`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.findings import NIH_FINDINGS
from cxrbench.interfaces import TaskLabels
from cxrbench.task import Task
from cxrbench.testing.check import Check, Subject, require, same, unchanged
from cxrbench.testing.components import settings_that_exist

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, TaskDefinition

_OWN = Task("multilabel", NIH_FINDINGS)
_ROWS = 300


def gives_a_task_and_its_labels(subject: Subject) -> None:
    """A task of at least two classes with different names, one column of labels a class, a place or none."""
    labels = _labels()
    found = _defined(subject, labels)
    classes = found.task.classes
    require(found.task.kind in ("multilabel", "singlelabel"), f"The task is {found.task.kind!r}.")
    require(len(set(classes)) == len(classes) >= 2, f"The classes are {classes}.")
    require(
        found.labels.shape == (len(labels), len(classes)),
        f"The labels of {labels.shape} are {found.labels.shape} for {len(classes)} classes.",
    )
    require(found.kept.shape == (len(labels),) and found.kept.dtype == np.bool_, "'kept' is no bool [n].")


def gives_labels_of_1_0_or_unknown(subject: Subject) -> None:
    """A label is 1, 0 or NaN; where exactly one class is right, an image with a place has one 1."""
    found = _defined(subject, _labels())
    placed = found.labels[found.kept]
    values = np.unique(placed[~np.isnan(placed)])
    require(set(values) <= {0.0, 1.0}, f"There are {values}.")
    if found.task.kind == "singlelabel":
        unknown = np.isnan(placed)
        whole = unknown.all(axis=1) | (~unknown.any(axis=1) & (placed.sum(axis=1) == 1))
        require(whole.all(), f"An image has the labels {placed[~whole][:1]}.")


def follows_from_the_data_sets_classes(subject: Subject) -> None:
    """The task is the same whatever images there are, also where there is none."""
    full = _defined(subject, _labels())
    for case in (_labels()[:1], _labels()[:0]):
        found = _defined(subject, case)
        require(found.task == full.task, f"Of {len(case)} images it is {found.task}, not {full.task}.")


def treats_images_alone(subject: Subject) -> None:
    """An image's labels and its place follow from its own labels: its neighbours and order do not matter."""
    labels = _labels()
    full, turned = _defined(subject, labels), _defined(subject, labels[::-1])
    alike = same(full.labels, turned.labels[::-1]) and same(full.kept, turned.kept[::-1])
    require(alike, "In another order of the images they differ.")
    some = _defined(subject, labels[::7])
    require(same(full.labels[::7], some.labels) and same(full.kept[::7], some.kept), "Of some they differ.")


def takes_unknown_labels(subject: Subject) -> None:
    """No unknown label becomes a known one by itself: an image of which nothing is known has no 1."""
    found = _defined(subject, np.full((3, len(NIH_FINDINGS)), np.nan))
    require(not (found.labels[found.kept] == 1).any(), f"It has {found.labels[found.kept][:1]}.")


def recommends_settings(subject: Subject) -> None:
    """What it recommends are settings of a run or its training, with values that they accept."""
    settings_that_exist(subject.make().recommend())


def leaves_its_arguments_alone(subject: Subject) -> None:
    """The data set's labels are not changed in place."""
    labels = _labels()
    with unchanged(labels=labels):
        _defined(subject, labels)


CHECKS = tuple(
    map(
        Check,
        (
            gives_a_task_and_its_labels,
            gives_labels_of_1_0_or_unknown,
            follows_from_the_data_sets_classes,
            treats_images_alone,
            takes_unknown_labels,
            recommends_settings,
            leaves_its_arguments_alone,
        ),
    )
)


def _labels() -> FloatArray:
    """Labels ``[300, 14]``: a third each without a finding, with one, with several; some unknown."""
    rng = np.random.default_rng(0)
    labels = np.zeros((_ROWS, len(NIH_FINDINGS)))
    for row in range(_ROWS):
        number = row % 3 if row % 3 < 2 else int(rng.integers(2, 5))
        labels[row, rng.permutation(len(NIH_FINDINGS))[:number]] = 1.0
    labels[rng.random(labels.shape) < 0.02] = np.nan
    return labels


def _defined(subject: Subject, labels: FloatArray) -> TaskLabels:
    definition: TaskDefinition = subject.make()
    return definition.define(_OWN, labels)
