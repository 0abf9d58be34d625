"""Which cells count, and what a ratio over nothing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cxrbench.interfaces import FloatArray


def known_cells(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """The cells ``[n, c]`` with a label.

    A column that holds a score that is not finite beside a known label has no cell at all: what is
    computed from it is undefined, rather than computed from the scores that happen to be sound.
    """
    known: NDArray[np.bool_] = ~np.isnan(labels)
    known &= (np.isfinite(scores) | ~known).all(axis=0)
    return known


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """Elementwise ``numerator / denominator`` as float64, NaN where the denominator is 0."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    quotient: FloatArray = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=quotient, where=bottom != 0)
    return quotient


def mean_defined(values: FloatArray) -> float:
    """Mean of the values that are defined; NaN where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")
