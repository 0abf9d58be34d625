"""Checks of samplers (:class:`cxrbench.interfaces.Sampler`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.findings import NIH_FINDINGS
from cxrbench.interfaces import SamplePlan
from cxrbench.testing.check import Check, Subject, require, unchanged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray, Sampler

_ROWS = 600


def keeps_a_subset(subject: Subject) -> None:
    """The subset is a bool array, one element an image, and no class is lost by it."""
    labels, draws = _labels(), _draws(_ROWS)
    kept = _subset(subject, labels, draws)
    _has_every_class(labels[kept], "The subset")


def plans_an_epoch(subject: Subject) -> None:
    """A plan is int64 rows among the images and bool mirrored, of one length; no class is lost by it."""
    labels, draws = _labels(), _draws(_ROWS)
    plan = _plan(subject, labels, draws)
    _has_every_class(labels[plan.rows], "The plan")


def takes_any_labels(subject: Subject) -> None:
    """A class may be all positive, all negative or unknown, and an image without any known label."""
    labels = _labels()
    mixed = labels.copy()
    mixed[:, 0], mixed[:, 1], mixed[:, 2] = 1.0, 0.0, np.nan
    unknown, nothing = np.full_like(labels, np.nan), np.zeros_like(labels)
    for each in (mixed, unknown, nothing, labels[:1]):
        _subset(subject, each, _draws(len(each)))
        _plan(subject, each, _draws(len(each)))


def follows_from_its_arguments(subject: Subject) -> None:
    """The same labels and draws give the same subset and plan, however often it was asked before."""
    labels, draws = _labels(), _draws(_ROWS)
    sampler: Sampler = subject.make()
    for other in (sampler, sampler, subject.make()):
        first, again = (each.subset(labels, NIH_FINDINGS, draws) for each in (sampler, other))
        require(np.array_equal(first, again), "The subset differs.")
        plan, second = (each.balance(labels, NIH_FINDINGS, draws) for each in (sampler, other))
        require(np.array_equal(_rows(plan), _rows(second)), "The plan differs.")


def does_not_depend_on_the_order(subject: Subject) -> None:
    """Images in another order, with their labels and draws, are kept, repeated and mirrored alike."""
    labels, draws = _labels(), _draws(_ROWS)
    order = np.random.default_rng(1).permutation(_ROWS)
    kept = _subset(subject, labels, draws)
    require(np.array_equal(kept[order], _subset(subject, labels[order], draws[order])), "The subset differs.")
    plan, other = _plan(subject, labels, draws), _plan(subject, labels[order], draws[order])
    back = SamplePlan(order[other.rows], other.mirrored)
    require(np.array_equal(np.sort(_rows(plan)), np.sort(_rows(back))), "The plan differs.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither labels nor draws are changed in place."""
    labels, draws = _labels(), _draws(_ROWS)
    sampler: Sampler = subject.make()
    with unchanged(labels=labels, draws=draws):
        sampler.subset(labels, NIH_FINDINGS, draws)
        sampler.balance(labels, NIH_FINDINGS, draws)


CHECKS = tuple(
    map(
        Check,
        (
            keeps_a_subset,
            plans_an_epoch,
            takes_any_labels,
            follows_from_its_arguments,
            does_not_depend_on_the_order,
            leaves_its_arguments_alone,
        ),
    )
)


def _labels() -> FloatArray:
    """Images with no, one or several findings, some labels unknown."""
    rng = np.random.default_rng(0)
    labels = (rng.random((_ROWS, len(NIH_FINDINGS))) < 0.07).astype(np.float64)
    labels[rng.random(labels.shape) < 0.01] = np.nan
    return labels


def _draws(rows: int) -> FloatArray:
    return np.random.default_rng(2).random(rows)


def _subset(subject: Subject, labels: FloatArray, draws: FloatArray) -> NDArray[np.bool_]:
    sampler: Sampler = subject.make()
    kept = sampler.subset(labels, NIH_FINDINGS, draws)
    require(isinstance(kept, np.ndarray), f"The subset is a {type(kept).__name__}, no array.")
    require(kept.dtype == np.bool_, f"The subset is {kept.dtype}, not bool.")
    require(kept.shape == (len(labels),), f"The subset of {len(labels)} images has the shape {kept.shape}.")
    return kept


def _plan(subject: Subject, labels: FloatArray, draws: FloatArray) -> SamplePlan:
    sampler: Sampler = subject.make()
    plan = sampler.balance(labels, NIH_FINDINGS, draws)
    require(isinstance(plan, SamplePlan), f"The plan is a {type(plan).__name__}.")
    for name, values, dtype in (("rows", plan.rows, np.int64), ("mirrored", plan.mirrored, np.bool_)):
        require(values.ndim == 1, f"Its {name} have {values.ndim} dimensions.")
        require(values.dtype == dtype, f"Its {name} are {values.dtype}.")
    require(len(plan.rows) == len(plan.mirrored), f"{len(plan.rows)} rows, {len(plan.mirrored)} mirrored.")
    require(((plan.rows >= 0) & (plan.rows < len(labels))).all(), "Some rows are out of range.")
    return plan


def _rows(plan: SamplePlan) -> NDArray[np.int64]:
    """Each row of a plan as one number."""
    return plan.rows * 2 + plan.mirrored


def _has_every_class(labels: FloatArray, what: str) -> None:
    lost = [name for name, column in zip(NIH_FINDINGS, labels.T, strict=True) if not (column == 1).any()]
    require(not lost, f"{what} has no {', '.join(lost)}.")
