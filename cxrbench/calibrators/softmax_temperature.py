"""Logits of a softmax divided by one temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State

_LOWEST, _HIGHEST = 0.05, 20.0


@dataclass(frozen=True, kw_only=True)
class SoftmaxTemperature:
    """Temperature scaling: ``softmax(logits / T)`` with the ``T`` of least negative log-likelihood.

    ``T`` is searched between 0.05 and 20. The most probable class stays what it is.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on log-odds ``[n, c]`` and labels ``[n, c]``; rows without a known class are left out.

        Returns:
            ``{"temperature": float}``.
        """
        from scipy.optimize import minimize_scalar

        known = (labels == 1).any(axis=1)
        if not known.any():
            return {"temperature": 1.0}
        values, right = _softmax_logits(logits[known]), labels[known].argmax(axis=1)

        def negative_log_likelihood(log_temperature: float) -> float:
            scaled = values * np.exp(-log_temperature)
            chosen = scaled[np.arange(len(right)), right]
            return float((np.logaddexp.reduce(scaled, axis=1) - chosen).sum())

        # Convex in 1/T, so it has one optimum in log T as well.
        bounds = (np.log(_LOWEST), np.log(_HIGHEST))
        found = minimize_scalar(
            negative_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-6}
        )
        return {"temperature": float(np.exp(found.x))}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """Softmax ``[n, c]`` of log-odds ``[n, c]``, tempered, float64."""
        from scipy.special import softmax

        values: FloatArray = softmax(_softmax_logits(logits) / state["temperature"], axis=1)
        return values


def _softmax_logits(log_odds: FloatArray) -> FloatArray:
    """What a softmax makes the same probabilities of, of each class's log-odds against the rest."""
    values: FloatArray = -np.logaddexp(0.0, -log_odds.astype(np.float64, copy=False))
    return values
