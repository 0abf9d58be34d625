"""Logits of what a file has: logits, or probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.errors import UsageError
from cxrbench.scores.table import ScoreTable, Values
from cxrbench.task import Task

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_FEW = 0.01
"""With a smaller share of values outside 0..1 they look like probabilities gone wrong."""
_BEYOND = 1e-7
"""An exact 0 or 1 stands for at most this probability or its complement: where float32 rounds to 1."""


def kind_of(table: ScoreTable) -> tuple[Values, str]:
    """Whether a file's values are logits or probabilities, and a clause on how that is known.

    Raises:
        UsageError: it cannot be told.
    """
    if table.hint is not None:
        return table.hint, "as the file says"
    known = table.scores[np.isfinite(table.scores)]
    outside = int(((known < 0) | (known > 1)).sum())
    if not outside:
        return "probabilities", "as all lie in 0..1"
    if outside < _FEW * known.size or not (known < 0).any():
        raise UsageError(
            f"{table.path} has {outside:,} of {known.size:,} values outside 0..1, so it is not clear what "
            "they are; say --values logits or --values probabilities."
        )
    return "logits", f"as {outside / known.size:.0%} lie outside 0..1"


def require_probabilities(table: ScoreTable) -> None:
    """Refuse probabilities outside 0..1.

    Raises:
        UsageError: there are some; the sentence counts them and has the first.
    """
    rows, columns = np.nonzero((table.scores < 0) | (table.scores > 1))
    if len(rows):
        row, column = rows[0], columns[0]
        image = f"row {row + 1}" if table.ids is None else table.ids[row]
        raise UsageError(
            f"{table.path} has {len(rows):,} probabilities outside 0..1, the first is "
            f"{table.scores[row, column]:g} for {table.classes[column]} of {image}; correct them, give "
            "--clip, or --values logits if that is what they are."
        )


def logits_of(probabilities: FloatArray, task: Task) -> tuple[FloatArray, int]:
    """Logits of probabilities in 0..1, and how many of them were exactly 0 or 1.

    Float64 ``log p - log(1 - p)``; of a single-label task ``log p``, whose softmax is p. An exact 0
    stands for half the smallest probability above it, but 1e-7 at most, and an exact 1 likewise, so that
    order and ties stay what they are over all findings and no logit is infinite.
    """
    inside = probabilities[(probabilities > 0) & (probabilities < 1)]
    least = min(float(inside.min(initial=1.0)) / 2, _BEYOND)
    rest = min(float((1 - inside).min(initial=1.0)) / 2, _BEYOND)
    zero, one = probabilities == 0, probabilities == 1
    # Of an exact 0 or 1, p is one of these, and so is 1 - p: near 1 a double is too coarse for the other.
    p = np.where(zero, least, np.where(one, 1 - rest, probabilities))
    complement = np.where(one, rest, 1 - p)
    logits: FloatArray = np.log(p)
    if task.kind == "multilabel":
        logits = logits - np.log(complement)
    return logits, int(zero.sum() + one.sum())
