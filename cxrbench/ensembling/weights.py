"""Weighted averages of members: what most searches find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State


WORST = -1e9
"""What searches take for a fitness that is undefined: worse than any."""


def normalised(weights: FloatArray, axis: int = -1) -> FloatArray:
    """Weights that sum to 1 along an axis; where all are 0, each is the same."""
    total = weights.sum(axis=axis, keepdims=True)
    even = np.full_like(weights, 1 / weights.shape[axis])
    shares: FloatArray = np.divide(weights, total, out=even, where=total > 0)
    return shares


def weights_state(weights: FloatArray) -> dict[str, Any]:
    """The state of an ensemble that is a weighted average."""
    return {"weights": weights.tolist()}


def weighted(scores: FloatArray, state: State) -> FloatArray:
    """The average ``[n, c]`` of scores ``[m, n, c]`` with the weights ``[m]`` or ``[m, c]`` of a state."""
    weights = np.asarray(state["weights"], np.float64)
    form = "m,mnc->nc" if weights.ndim == 1 else "mc,mnc->nc"
    average: FloatArray = np.einsum(form, weights, scores)
    return average
