"""A logistic curve of the logit for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State

_LEAST_SLOPE = 0.01
"""For each standard deviation of a finding's logits."""


@dataclass(frozen=True, kw_only=True)
class Platt:
    """Platt scaling: ``sigmoid(slope * logit + intercept)`` of least binary cross-entropy, for each finding.

    The curve is fitted to Platt's targets in place of 1 and 0: ``(n+ + 1) / (n+ + 2)`` for the ``n+``
    positives and ``1 / (n- + 2)`` for the ``n-`` negatives, so that it stays finite where the logits
    separate the labels.

    The slope is at least 0.01 for each standard deviation of the logits. So the order of images within a
    finding does not change, nor does AUC; where labels on tune speak against the logits, probabilities are
    practically the prevalence.

    Source: Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized
    Likelihood Methods", 1999, section 2.2.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]`` (1, 0, NaN unknown and left out).

        Returns:
            ``{"slope": [c floats], "intercept": [c floats]}``.
        """
        curves = [_curve(logits[:, c], labels[:, c]) for c in range(logits.shape[1])]
        return {"slope": [slope for slope, _ in curves], "intercept": [start for _, start in curves]}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """The curves at logits ``[n, c]``, float64."""
        from scipy.special import expit

        slopes, intercepts = (np.asarray(state[key], dtype=np.float64) for key in ("slope", "intercept"))
        values: FloatArray = expit(slopes * logits.astype("float64", copy=False) + intercepts)
        return values


def _curve(logits: FloatArray, labels: FloatArray) -> tuple[float, float]:
    """Slope and intercept of one finding, from its logits and labels ``[n]``."""
    from scipy.optimize import minimize
    from scipy.special import expit, logit

    known = ~np.isnan(labels)
    x, positive = logits[known].astype("float64"), labels[known] == 1
    targets = np.where(positive, 1 - 1 / (positive.sum() + 2), 1 / ((~positive).sum() + 2))
    # In standard deviations, so that the search and the least slope do not depend on the logits' scale.
    mean, deviation = x.mean(), x.std() or 1.0
    x = (x - mean) / deviation

    def cross_entropy(curve: FloatArray) -> tuple[float, FloatArray]:
        scores = curve[0] * x + curve[1]
        residuals = expit(scores) - targets
        loss = float((np.logaddexp(0.0, scores) - targets * scores).mean())
        return loss, np.array([(residuals * x).mean(), residuals.mean()])

    # Convex, so that the one optimum within the bounds is found from anywhere.
    found = minimize(
        cross_entropy,
        x0=[1.0, logit(targets.mean())],
        jac=True,
        method="L-BFGS-B",
        bounds=[(_LEAST_SLOPE, None), (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    slope, intercept = found.x
    return float(slope / deviation), float(intercept - slope * mean / deviation)
