"""Checks of losses (:class:`cxrbench.interfaces.Loss`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cxrbench.findings import NIH_FINDINGS
from cxrbench.testing.check import Check, Subject, require, unchanged
from cxrbench.testing.components import declares_its_tasks
from cxrbench.testing.examples import Example, example

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, Loss, LossFunction

_CLASSES = len(NIH_FINDINGS)
_ROWS = 2 * _CLASSES


def is_a_finite_scalar(subject: Subject) -> None:
    """The loss of a batch is one finite number, as a tensor without dimensions that has a gradient."""
    _finite(_built(subject), _batch(subject), "an ordinary batch")
    _finite(_built(subject), _batch(subject, unknown=True), "a batch with unknown labels")


def falls_towards_the_labels(subject: Subject) -> None:
    """Logits that come nearer to their labels have a lower loss."""
    function, (logits, labels) = _built(subject), _batch(subject)
    nearer = logits + 0.5 * (2 * labels - 1)
    before, after = float(function(logits, labels)), float(function(nearer, labels))
    require(after < before, f"It goes from {before:g} to {after:g}.")


def masks_unknown_labels(subject: Subject) -> None:
    """Logits whose label is NaN (unknown) change neither the loss nor get a gradient."""
    function, (logits, labels) = _built(subject), _batch(subject, unknown=True)
    other = torch.where(labels.isnan(), -3 * logits + 5, logits).requires_grad_()
    before, after = function(logits, labels), function(other, labels)
    require(torch.allclose(before, after), f"The loss is {before.item():g}, then {after.item():g}.")
    after.backward()  # type: ignore[no-untyped-call]
    require(not bool(_gradient(other)[labels.isnan()].any()), "They get a gradient.")


def takes_a_batch_without_known_labels(subject: Subject) -> None:
    """A batch whose labels are all unknown has a finite loss, without a gradient that is not finite."""
    logits, labels = _batch(subject)
    _finite(_built(subject), (logits, torch.full_like(labels, torch.nan)), "it")


def takes_batches_of_one_class(subject: Subject) -> None:
    """In a small batch a class may be all positive, all negative or unknown: the loss stays finite."""
    logits, labels = _batch(subject)
    for case, wanted in _one_sided(subject, labels.double().numpy()).items():
        _finite(_built(subject), (logits, torch.from_numpy(wanted).float()), case)


def builds_on_any_training_labels(subject: Subject) -> None:
    """Among the training labels a class may be all positive, all negative or unknown: the loss is finite.

    It is built on one row of unknown labels too, to check options that name classes.
    """
    ordinary = _example(subject).labels
    cases = {**_one_sided(subject, ordinary), "one unlabelled row": np.full((1, _CLASSES), np.nan)}
    for case, labels in cases.items():
        _finite(_built(subject, labels), _batch(subject), f"{case} in training")


def repeats_itself(subject: Subject) -> None:
    """The same labels and logits give the same loss, however often it was called before."""
    function, batch = _built(subject), _batch(subject)
    values = [float(function(*batch)), float(function(*batch)), float(_built(subject)(*batch))]
    require(len(set(values)) == 1, f"It is {', '.join(f'{value:.9g}' for value in values)}.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither logits nor labels are changed in place."""
    training = _example(subject, unknown=True).labels
    logits, labels = _batch(subject, unknown=True)
    with unchanged(training_labels=training, logits=logits, labels=labels):
        _built(subject, training)(logits, labels)


CHECKS = tuple(
    map(
        Check,
        (
            declares_its_tasks,
            is_a_finite_scalar,
            falls_towards_the_labels,
            masks_unknown_labels,
            takes_a_batch_without_known_labels,
            takes_batches_of_one_class,
            builds_on_any_training_labels,
            repeats_itself,
            leaves_its_arguments_alone,
        ),
    )
)


def _example(subject: Subject, *, unknown: bool = False) -> Example:
    return example(_ROWS, _CLASSES, subject.make().tasks, unknown=unknown)


def _built(subject: Subject, labels: FloatArray | None = None) -> LossFunction:
    loss: Loss = subject.make()
    return loss.build(_example(subject).labels if labels is None else labels, NIH_FINDINGS)


def _batch(subject: Subject, *, unknown: bool = False) -> tuple[Tensor, Tensor]:
    logits, labels = _example(subject, unknown=unknown)
    return torch.from_numpy(logits).float(), torch.from_numpy(labels).float()


def _one_sided(subject: Subject, labels: FloatArray) -> dict[str, FloatArray]:
    """Labels without one class, and where each class is a question of its own, all that is one-sided."""
    absent = labels.copy()
    absent[absent[:, 0] == 1] = np.eye(_CLASSES)[1]
    cases = {"a class without positives": absent, "one row": labels[:1].repeat(_ROWS, axis=0)}
    if "multilabel" in subject.make().tasks:
        mixed = labels.copy()
        mixed[:, 0], mixed[:, 1], mixed[:, 2] = 1.0, 0.0, np.nan
        cases |= {
            "all positive": np.ones_like(labels),
            "all negative": np.zeros_like(labels),
            "columns all positive, all negative and unknown": mixed,
        }
    return cases


def _finite(function: LossFunction, batch: tuple[Tensor, Tensor], case: str) -> None:
    logits = batch[0].clone().requires_grad_()
    loss = function(logits, batch[1])
    require(isinstance(loss, Tensor) and loss.ndim == 0, f"With {case} it is no scalar tensor.")
    require(loss.isfinite(), f"With {case} it is {loss.item():g}.")
    require(loss.requires_grad, f"With {case} it has no gradient.")
    loss.backward()  # type: ignore[no-untyped-call]
    require(_gradient(logits).isfinite().all(), f"With {case} its gradient is not finite.")


def _gradient(logits: Tensor) -> Tensor:
    return torch.zeros_like(logits) if logits.grad is None else logits.grad
