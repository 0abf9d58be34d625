"""Checks of calibrators (:class:`cxrbench.interfaces.Calibrator`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.canonical import canonical_json
from cxrbench.testing.check import Check, Subject, require, same, unchanged
from cxrbench.testing.components import declares_its_tasks
from cxrbench.testing.examples import Example, example

if TYPE_CHECKING:
    from cxrbench.interfaces import Calibrator, FloatArray

_ROWS, _CLASSES = 120, 4


def gives_probabilities(subject: Subject) -> None:
    """One probability in 0..1 for each logit, as float64, also of far logits and of images never seen."""
    logits, _ = fitted = _example(subject)
    for case, asked in (("the fitted logits", logits), ("far logits", 200 * logits), ("one row", logits[:1])):
        _well_formed(_calibrated(subject, fitted, asked), asked, case)


def fits_single_findings(subject: Subject) -> None:
    """Any number of columns can be fitted: a finding with too few labels is not handed over."""
    if "multilabel" not in subject.make().tasks:
        return
    logits, labels = _example(subject)
    for columns in (1, 2):
        fitted = Example(logits[:, :columns], labels[:, :columns])
        _well_formed(_calibrated(subject, fitted, fitted.logits), fitted.logits, f"{columns} of the columns")


def fits_what_tells_nothing_or_all(subject: Subject) -> None:
    """Logits that are constant, or that separate the labels perfectly, can be fitted too."""
    logits, labels = _example(subject)
    for case, hard in (("constant logits", np.zeros_like(logits)), ("perfect logits", 8 * labels - 4)):
        _well_formed(_calibrated(subject, Example(hard, labels), hard), hard, case)


def leaves_out_unknown_labels(subject: Subject) -> None:
    """Images whose label is NaN (unknown) do not matter to the fit."""
    logits, labels = _example(subject, unknown=True)
    if "multilabel" in subject.make().tasks:
        logits, labels = logits[:, :1], labels[:, :1]
    known = ~np.isnan(labels[:, 0])
    with_them = _calibrated(subject, Example(logits, labels), logits)
    without = _calibrated(subject, Example(logits[known], labels[known]), logits)
    _well_formed(with_them, logits, "unknown labels")
    difference = float(np.abs(with_them - without).max())
    require(difference < 1e-6, f"Without them probabilities differ by up to {difference:g}.")


def keeps_a_state_of_json_values(subject: Subject) -> None:
    """The state is a mapping of JSON values, and gives the same probabilities after being stored and read."""
    calibrator: Calibrator = subject.make()
    logits, labels = _example(subject)
    state = calibrator.fit(logits, labels)
    try:
        json.dumps(dict(state))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"Its state cannot be written: {error}.") from error
    read = json.loads(canonical_json(dict(state)))
    require(
        same(subject.make().probabilities(logits, read), calibrator.probabilities(logits, state)),
        "The state that was read gives other probabilities.",
    )


def treats_images_alone(subject: Subject) -> None:
    """A calibrated probability depends on the image's own logits and the state, not on other images."""
    fitted = _example(subject)
    together = _calibrated(subject, fitted, fitted.logits)
    alone = _calibrated(subject, fitted, fitted.logits[5:6])
    require(np.allclose(together[5:6], alone, rtol=0, atol=1e-9), "One image alone has other probabilities.")


def repeats_itself(subject: Subject) -> None:
    """The same logits and labels give the same state."""
    logits, labels = _example(subject)
    states = [subject.make().fit(logits, labels) for _ in range(2)]
    require(same(*states), "Two fits differ.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither logits nor labels nor the state are changed in place."""
    calibrator: Calibrator = subject.make()
    logits, labels = _example(subject, unknown=True)
    with unchanged(logits=logits, labels=labels):
        state = calibrator.fit(logits, labels)
    with unchanged(logits=logits, state=state):
        calibrator.probabilities(logits, state)


CHECKS = tuple(
    map(
        Check,
        (
            declares_its_tasks,
            gives_probabilities,
            fits_single_findings,
            fits_what_tells_nothing_or_all,
            leaves_out_unknown_labels,
            keeps_a_state_of_json_values,
            treats_images_alone,
            repeats_itself,
            leaves_its_arguments_alone,
        ),
    )
)


def _example(subject: Subject, *, unknown: bool = False) -> Example:
    return example(_ROWS, _CLASSES, subject.make().tasks, unknown=unknown)


def _calibrated(subject: Subject, fitted: Example, logits: FloatArray) -> FloatArray:
    calibrator: Calibrator = subject.make()
    return calibrator.probabilities(logits, calibrator.fit(*fitted))


def _well_formed(probabilities: FloatArray, logits: FloatArray, case: str) -> None:
    require(isinstance(probabilities, np.ndarray), f"With {case} it gives no array.")
    require(probabilities.dtype == np.float64, f"With {case} it gives {probabilities.dtype}.")
    require(
        probabilities.shape == logits.shape,
        f"With {case} the shape is {probabilities.shape}, not {logits.shape}.",
    )
    inside = (probabilities >= 0) & (probabilities <= 1)
    require(inside.all(), f"With {case} it gives {probabilities[~inside][:1]}.")
