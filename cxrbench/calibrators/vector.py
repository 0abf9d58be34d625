"""A scale and a bias for each class of a single-label task, fitted together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.calibrators.logistic import LEAST_SLOPE

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State


@dataclass(frozen=True, kw_only=True)
class Vector:
    """Vector scaling: ``softmax(scale * logits + bias)`` of least cross-entropy over all classes together.

    For single-label tasks. In a multi-label task findings do not share a softmax, and a scale and a bias for
    each finding is :class:`~cxrbench.calibrators.platt.Platt`.

    It is fitted to targets in place of 1 and 0 that keep it finite where logits separate the classes: an
    image of a class with ``m`` images has ``(m + 1) / (m + c)`` for its own of the ``c`` classes and
    ``1 / (m + c)`` for each other; with two classes these are Platt's. A scale is at least 0.01 for each
    standard deviation of the class's logits, so that a higher logit never makes its class less probable.
    Decisions may change, since biases differ.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"singlelabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]``: one 1 a row, or NaN (unknown and left out).

        Returns:
            ``{"scale": [c floats], "bias": [c floats]}``, the biases adding up to 0.
        """
        from scipy.optimize import minimize
        from scipy.special import log_softmax

        known = ~np.isnan(labels).any(axis=1)
        x, y = logits[known].astype("float64"), labels[known]
        classes = y.shape[1]
        count = (y * y.sum(axis=0)).sum(axis=1, keepdims=True)
        targets = (y * count + 1) / (count + classes)
        # In standard deviations, so that the search and the least scale do not depend on the logits' scale.
        means, deviations = x.mean(axis=0), x.std(axis=0)
        deviations = np.where(np.ptp(x, axis=0) > 0, deviations, 1.0)
        x = (x - means) / deviations

        def cross_entropy(curve: FloatArray) -> tuple[float, FloatArray]:
            logs = log_softmax(curve[:classes] * x + curve[classes:], axis=1)
            residuals = np.exp(logs) - targets
            loss = -float((targets * logs).sum(axis=1).mean())
            return loss, np.concatenate([(residuals * x).mean(axis=0), residuals.mean(axis=0)])

        # Convex, so that an optimum within the bounds is found from anywhere.
        found = minimize(
            cross_entropy,
            x0=np.concatenate([deviations, np.log(targets.mean(axis=0))]),
            jac=True,
            method="L-BFGS-B",
            bounds=[(LEAST_SLOPE, None)] * classes + [(None, None)] * classes,
            options={"ftol": 1e-14, "gtol": 1e-9},
        )
        scale = found.x[:classes] / deviations
        bias = found.x[classes:] - scale * means
        return {"scale": scale.tolist(), "bias": (bias - bias.mean()).tolist()}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """Softmax of the scaled logits ``[n, c]``, float64."""
        from scipy.special import softmax

        scale, bias = (np.asarray(state[key], dtype=np.float64) for key in ("scale", "bias"))
        values: FloatArray = softmax(scale * logits.astype("float64", copy=False) + bias, axis=1)
        return values
