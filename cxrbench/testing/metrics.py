"""Checks of metrics (:class:`cxrbench.interfaces.Metric`)."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.testing.check import Check, Subject, require, unchanged
from cxrbench.testing.components import declares_its_tasks
from cxrbench.testing.examples import example

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, Metric

    Arguments = tuple[FloatArray, FloatArray, FloatArray]

_ROWS, _CLASSES = 150, 4


def gives_one_number(subject: Subject) -> None:
    """The value is one finite number where there are positives, negatives and decisions of each class."""
    for kind in sorted(subject.make().tasks):
        for unknown in (False, True):
            value = _value(subject, *_example(kind, unknown=unknown))
            require(math.isfinite(value), f"Of a {kind} task it is {value}.")


def says_which_way_is_good(subject: Subject) -> None:
    """What is right is better, in the direction of higher_is_better, than what is wrong everywhere."""
    metric: Metric = subject.make()
    require(isinstance(metric.higher_is_better, bool), f"higher_is_better is {metric.higher_is_better!r}.")
    for kind in sorted(metric.tasks):
        labels = _example(kind)[0]
        # In a single-label task what is wrong everywhere is the next class.
        wrong = 1 - labels if kind == "multilabel" else np.roll(labels, 1, axis=1)
        right_value, wrong_value = (
            _value(subject, labels, 0.1 + 0.8 * called, called) for called in (labels, wrong)
        )
        better = right_value > wrong_value if metric.higher_is_better else right_value < wrong_value
        require(better, f"It is {right_value:g} of what is right and {wrong_value:g} of what is wrong.")


def leaves_out_unknown_labels(subject: Subject) -> None:
    """An unknown label (NaN) is no negative: what is predicted where it is unknown does not count."""
    for kind in sorted(subject.make().tasks):
        labels, probabilities, decisions = _example(kind, unknown=True)
        # Whole images: what a metric makes of an image that is known in part is its own affair.
        labels[5] = np.nan
        hidden = np.isnan(labels).all(axis=1)
        other, decided = probabilities.copy(), decisions.copy()
        other[hidden], decided[hidden] = 1 - probabilities[hidden], 1 - decisions[hidden]
        one, two = _value(subject, labels, probabilities, decisions), _value(subject, labels, other, decided)
        require(_near(one, two), f"It is {one:g}, and {two:g} with other predictions of unknown images.")


def is_undefined_without_labels(subject: Subject) -> None:
    """Without any known label the value is NaN, not 0."""
    for kind in sorted(subject.make().tasks):
        labels, probabilities, decisions = _example(kind)
        value = _value(subject, np.full_like(labels, np.nan), probabilities, decisions)
        require(math.isnan(value), f"It is {value:g}.")


def takes_odd_images(subject: Subject) -> None:
    """Classes without positives, negatives, labels or decisions, one image, and sure scores are fine."""
    for kind in sorted(subject.make().tasks):
        labels, probabilities, decisions = _example(kind)
        _value(subject, labels, probabilities, np.full_like(decisions, np.nan))
        _value(subject, labels[:1], probabilities[:1], decisions[:1])
        _value(subject, labels, probabilities.round(), decisions)
        _value(subject, labels, np.full_like(probabilities, 0.5), np.zeros_like(decisions))
        if kind == "multilabel":
            labels[:, 0], labels[:, 1], labels[:, 2] = 1.0, 0.0, np.nan
            decisions[:, 3] = np.nan
            _value(subject, labels, probabilities, decisions)


def counts_images_as_often_as_they_stand(subject: Subject) -> None:
    """The order of images does not matter, and each standing twice changes nothing."""
    for kind in sorted(subject.make().tasks):
        given = _example(kind)
        value = _value(subject, *given)
        turned = _value(subject, *(each[::-1] for each in given))
        require(_near(value, turned), f"It is {value:g}, and {turned:g} in another order.")
        twice = _value(subject, *(np.repeat(each, 2, axis=0) for each in given))
        require(_near(value, twice), f"It is {value:g}, and {twice:g} with each image standing twice.")


def repeats_itself(subject: Subject) -> None:
    """The same predictions and labels give the same number."""
    for kind in sorted(subject.make().tasks):
        first, second = (_value(subject, *_example(kind)) for _ in range(2))
        require(first == second, f"It is {first!r}, then {second!r}.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither labels nor probabilities nor decisions are changed in place."""
    for kind in sorted(subject.make().tasks):
        labels, probabilities, decisions = _example(kind, unknown=True)
        with unchanged(labels=labels, probabilities=probabilities, decisions=decisions):
            _value(subject, labels, probabilities, decisions)


CHECKS = tuple(
    map(
        Check,
        (
            declares_its_tasks,
            gives_one_number,
            says_which_way_is_good,
            leaves_out_unknown_labels,
            is_undefined_without_labels,
            takes_odd_images,
            counts_images_as_often_as_they_stand,
            repeats_itself,
            leaves_its_arguments_alone,
        ),
    )
)


def _example(kind: str, *, unknown: bool = False) -> Arguments:
    """Labels, probabilities and decisions that tell something of them."""
    given = example(_ROWS, _CLASSES, frozenset({kind}), unknown=unknown)
    if kind == "singlelabel":
        shares = np.exp(given.logits)
        probabilities = shares / shares.sum(axis=1, keepdims=True)
        return given.labels, probabilities, np.eye(_CLASSES)[probabilities.argmax(axis=1)]
    probabilities = 1 / (1 + np.exp(-given.logits))
    return given.labels, probabilities, (probabilities >= 0.5).astype(np.float64)


def _value(subject: Subject, labels: FloatArray, probabilities: FloatArray, decisions: FloatArray) -> float:
    metric: Metric = subject.make()
    value = metric.value(labels, probabilities, decisions)
    require(isinstance(value, numbers.Real), f"It gives a {type(value).__name__}, not a number.")
    return float(value)


def _near(one: float, two: float) -> bool:
    return math.isclose(one, two, rel_tol=1e-9, abs_tol=1e-12) or (math.isnan(one) and math.isnan(two))
