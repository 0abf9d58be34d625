"""A logistic curve of the logit for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.calibrators.logistic import LEAST_SLOPE, fit_logistic

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State


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
    known = ~np.isnan(labels)
    x = logits[known].astype("float64")
    least = np.array([LEAST_SLOPE / (x.std() or 1.0)])
    (slope,), intercept = fit_logistic(x[None], labels[known] == 1, least)
    return float(slope), intercept
