"""Checks of decision rules (:class:`cxrbench.interfaces.DecisionRule`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS, NO_FINDING
from cxrbench.testing.check import Check, Subject, require, same, unchanged
from cxrbench.testing.components import declares_its_tasks

if TYPE_CHECKING:
    from cxrbench.interfaces import DecisionRule, FloatArray

_CLASSES = (*NIH_FINDINGS, NO_FINDING)
_ROWS = 200


def gives_decisions(subject: Subject) -> None:
    """One decision a class and image: 1, 0 or NaN, as float64 of the same shape."""
    decisions, probabilities = _example()
    found = _decided(subject, decisions, probabilities)
    require(
        isinstance(found, np.ndarray) and found.dtype == np.float64 and found.shape == decisions.shape,
        f"It gives {type(found).__name__} {getattr(found, 'dtype', '')} {np.shape(found)}.",
    )
    values = np.unique(found[~np.isnan(found)])
    require(set(values) <= {0.0, 1.0}, f"There are {values}.")


def leaves_the_undecided_undecided(subject: Subject) -> None:
    """What has no decision gets none: a class without a threshold stays out of every figure."""
    decisions, probabilities = _example()
    decisions[:, 3] = np.nan
    require(np.isnan(_decided(subject, decisions, probabilities)[:, 3]).all(), "A column of NaN is decided.")


def treats_images_alone(subject: Subject) -> None:
    """A decision depends on the image's own decisions and probabilities, not on other images."""
    decisions, probabilities = _example()
    together = _decided(subject, decisions, probabilities)
    alone = _decided(subject, decisions[5:6], probabilities[5:6])
    require(same(together[5:6], alone), "One image alone is decided otherwise.")


def is_final(subject: Subject) -> None:
    """Applied to its own decisions, it changes nothing more."""
    decisions, probabilities = _example()
    once = _decided(subject, decisions, probabilities)
    require(same(_decided(subject, once, probabilities), once), "A second time changes decisions.")


def says_what_it_needs_without_images(subject: Subject) -> None:
    """No images are no trouble; a class that it needs and that is missing is refused even then."""
    nothing = np.empty((0, len(_CLASSES)))
    require(
        _decided(subject, nothing, nothing).shape == nothing.shape, "Of no images it gives another shape."
    )
    rule: DecisionRule = subject.make()
    lacking = ("Another class", "And another")
    refused = [_refuses(rule, np.full((rows, 2), 0.3), lacking) for rows in (0, 4)]
    require(refused[0] == refused[1], "What it refuses of some images it takes of none.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither decisions nor probabilities are changed in place."""
    decisions, probabilities = _example()
    with unchanged(decisions=decisions, probabilities=probabilities):
        _decided(subject, decisions, probabilities)


CHECKS = tuple(
    map(
        Check,
        (
            declares_its_tasks,
            gives_decisions,
            leaves_the_undecided_undecided,
            treats_images_alone,
            is_final,
            says_what_it_needs_without_images,
            leaves_its_arguments_alone,
        ),
    )
)


def _example() -> tuple[FloatArray, FloatArray]:
    """Decisions and probabilities ``[200, 15]``; "No Finding" scores highest in some rows, in others not."""
    rng = np.random.default_rng(0)
    probabilities = rng.random((_ROWS, len(_CLASSES))) * np.where(np.arange(_ROWS) % 2, 0.6, 1.0)[:, None]
    probabilities[:, -1] = rng.random(_ROWS)
    return (probabilities >= 0.4).astype(np.float64), probabilities


def _refuses(rule: DecisionRule, probabilities: FloatArray, classes: tuple[str, ...]) -> bool:
    try:
        rule.decide(np.zeros_like(probabilities), probabilities, classes)
    except UsageError:
        return True
    return False


def _decided(subject: Subject, decisions: FloatArray, probabilities: FloatArray) -> FloatArray:
    rule: DecisionRule = subject.make()
    return rule.decide(decisions, probabilities, _CLASSES)
