"""A logistic curve through Platt's targets, with slopes that have a lower bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

LEAST_SLOPE = 0.01
"""For each standard deviation of a finding's logits."""

_CONSTANT = 1e-14


def fit_logistic(
    features: FloatArray, positive: NDArray[np.bool_], least: FloatArray
) -> tuple[FloatArray, float]:
    """Coefficients and intercept of least cross-entropy with Platt's targets.

    They stand in place of 1 and 0: ``(n+ + 1) / (n+ + 2)`` for the ``n+`` positives and ``1 / (n- + 2)`` for
    the ``n-`` negatives, so that the curve stays finite where the features separate the labels. Platt,
    "Probabilistic Outputs for Support Vector Machines and Comparisons to Regularized Likelihood Methods",
    1999, section 2.2.

    Args:
        features: float64 ``[k, n]``, one row a feature.
        positive: ``[n]``.
        least: ``[k]``, lower bounds of the coefficients.

    Returns:
        Coefficients ``[k]`` and intercept.
    """
    from scipy.optimize import minimize
    from scipy.special import expit, logit

    targets = np.where(positive, 1 - 1 / (positive.sum() + 2), 1 / ((~positive).sum() + 2))
    # In standard deviations, so that the search does not depend on the features' scale.
    means, deviations = features.mean(axis=1), features.std(axis=1)
    # Rounding may leave a deviation of a constant feature, or none of one that hardly varies.
    deviations = np.where(deviations > _CONSTANT * np.abs(features).max(axis=1), deviations, 1.0)
    x = (features - means[:, None]) / deviations[:, None]

    def cross_entropy(curve: FloatArray) -> tuple[float, FloatArray]:
        scores = curve[:-1] @ x + curve[-1]
        residuals = expit(scores) - targets
        loss = float((np.logaddexp(0.0, scores) - targets * scores).mean())
        return loss, np.append((residuals * x).mean(axis=1), residuals.mean())

    bounds: list[tuple[Any, None]] = [(bound, None) for bound in least * deviations]
    # Convex, so that the one optimum within the bounds is found from anywhere.
    found = minimize(
        cross_entropy,
        x0=np.append(np.ones(len(x)), logit(targets.mean())),
        jac=True,
        method="L-BFGS-B",
        bounds=[*bounds, (None, None)],
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    standardised, intercept = found.x[:-1], found.x[-1]
    return standardised / deviations, float(intercept - (standardised * means / deviations).sum())
