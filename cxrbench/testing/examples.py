"""Made-up scores and labels that the checks of losses, calibrators and thresholds share."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


class Example(NamedTuple):
    """Logits ``[n, c]`` that tell something about labels ``[n, c]`` (1, 0, NaN unknown)."""

    logits: FloatArray
    labels: FloatArray


def example(
    rows: int, classes: int, tasks: frozenset[str], *, unknown: bool = False, seed: int = 0
) -> Example:
    """Labels as a component of these tasks meets them, every class present and absent.

    Where it takes no multi-label task, each row has one class, and is unknown as a whole or not at all.
    """
    rng = np.random.default_rng(seed)
    if "multilabel" in tasks:
        labels = (rng.random((rows, classes)) < 0.35).astype(np.float64)
        labels[0], labels[1] = 1.0, 0.0
        hidden = rng.random((rows, classes)) < 0.2
    else:
        labels = np.eye(classes)[np.arange(rows) % classes]
        hidden = np.repeat(rng.random((rows, 1)) < 0.2, classes, axis=1)
    logits = 1.5 * (2 * labels - 1) + 2 * rng.standard_normal((rows, classes))
    if unknown:
        hidden[: max(2, classes)] = False
        hidden[-1] = True
        labels[hidden] = np.nan
    return Example(logits, labels)
