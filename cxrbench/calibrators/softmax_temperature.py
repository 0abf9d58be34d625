"""One temperature for all classes of a single-label task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.calibrators.temperature import likeliest_temperature

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State


@dataclass(frozen=True, kw_only=True)
class SoftmaxTemperature:
    """Temperature scaling of a softmax: ``softmax(logits / T)``.

    ``T`` is the one of least negative log-likelihood, searched between 0.05 and 20. The order of classes
    within an image does not change, so neither does any decision; the order of images within a class may,
    for a softmax depends on all logits of the image.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]``: one 1 a row, or NaN (unknown and left out).

        Returns:
            ``{"temperature": float}``.
        """
        from scipy.special import logsumexp

        known = ~np.isnan(labels).any(axis=1)
        x, y = logits[known].astype("float64"), labels[known]
        right = (x * y).sum(axis=1)

        def negative_log_likelihood(inverse: float) -> float:
            return float((logsumexp(inverse * x, axis=1) - inverse * right).sum())

        return {"temperature": likeliest_temperature(negative_log_likelihood)}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """Softmax of logits ``[n, c]`` divided by the temperature, float64."""
        from scipy.special import softmax

        values: FloatArray = softmax(logits.astype("float64", copy=False) / state["temperature"], axis=1)
        return values
