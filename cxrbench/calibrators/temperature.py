"""Logits divided by a temperature, for each finding or shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State

_LOWEST, _HIGHEST = 0.05, 20.0


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """Temperature scaling: ``sigmoid(logit / T)`` with the ``T`` of least binary negative log-likelihood.

    ``T`` is searched between 0.05 and 20; it reaches a bound where the labels separate perfectly by the
    sign of the logit, or where the logits tell nothing. The order of images within a finding does not
    change, so neither does AUC.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2, with a sigmoid for
    each finding in place of the softmax.

    Attributes:
        scope: ``finding`` fits one temperature for each finding, ``shared`` one for all.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    scope: Literal["finding", "shared"] = "finding"

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]`` (1, 0, NaN unknown and left out).

        Returns:
            ``{"temperature": [c floats]}``, all equal where the scope is ``shared``.
        """
        classes = logits.shape[1]
        if self.scope == "shared":
            return {"temperature": [_temperature(logits.ravel(), labels.ravel())] * classes}
        return {"temperature": [_temperature(logits[:, c], labels[:, c]) for c in range(classes)]}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """Sigmoid of logits ``[n, c]`` divided by their temperatures, float64."""
        from scipy.special import expit

        temperatures = np.asarray(state["temperature"], dtype=np.float64)
        values: FloatArray = expit(logits.astype("float64", copy=False) / temperatures)
        return values


def _temperature(logits: FloatArray, labels: FloatArray) -> float:
    known = ~np.isnan(labels)
    signed = np.where(labels[known] == 1, 1.0, -1.0) * logits[known]

    def negative_log_likelihood(inverse: float) -> float:
        return float(np.logaddexp(0.0, -signed * inverse).sum())

    return likeliest_temperature(negative_log_likelihood)


def likeliest_temperature(negative_log_likelihood: Callable[[float], float]) -> float:
    """The ``T`` between 0.05 and 20 of the least ``negative_log_likelihood(1 / T)``, which is convex."""
    from scipy.optimize import minimize_scalar

    def of_log(log_temperature: float) -> float:
        return negative_log_likelihood(float(np.exp(-log_temperature)))

    # The likelihood is log-concave in 1/T, so it has one optimum in log T as well.
    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    found = minimize_scalar(of_log, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
