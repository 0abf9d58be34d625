"""What is averaged: members' probabilities, logits or ranks; and averages as logits again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.special import log_softmax

from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

Scale = Literal["probabilities", "logits", "ranks"]
SCALES: tuple[Scale, ...] = get_args(Scale)

_SMALLEST = 1e-12
"""Probabilities are kept this far from 0 and 1, where they become logits."""


def to_scale(task: Task, scale: Scale, logits: FloatArray, tune: FloatArray) -> FloatArray:
    """A member's scores ``[n, c]`` of its logits ``[n, c]``.

    ``ranks``: the share of the tune images ``[t, c]`` whose logit is lower, those that are the same counted
    half; between two of them in proportion. So an image's rank does not depend on what else is tested.
    """
    if scale == "probabilities":
        return task.probabilities(logits)
    if scale == "logits":
        values: FloatArray = logits if task.kind == "multilabel" else log_softmax(logits, axis=1)
        return values
    ranks = [_rank(logits[:, column], tune[:, column]) for column in range(logits.shape[1])]
    return np.column_stack(ranks)


def _rank(values: FloatArray, tune: FloatArray) -> FloatArray:
    known, counts = np.unique(tune, return_counts=True)
    below = np.cumsum(counts) - counts / 2
    return np.interp(values, known, below / len(tune))


def to_logits(task: Task, scale: Scale, combined: FloatArray) -> FloatArray:
    """Logits ``[n, c]`` of an ensemble's scores ``[n, c]``, whose probabilities are those, or the ranks."""
    if task.kind == "singlelabel":
        return combined if scale == "logits" else np.log(np.maximum(combined, _SMALLEST))
    return logits_of(combined, scale)


def to_probabilities(task: Task, scale: Scale, combined: FloatArray) -> FloatArray:
    """Probabilities ``[n, c]`` of an ensemble's scores ``[n, c]``; ranks stand for themselves."""
    return task.probabilities(combined) if scale == "logits" else combined


def logits_of(scores: FloatArray, scale: str) -> FloatArray:
    """``log p - log(1 - p)`` of probabilities or ranks of any shape; logits as they are."""
    if scale == "logits":
        return scores
    inside = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    logits: FloatArray = np.log(inside) - np.log1p(-inside)
    return logits
