"""A beta curve of the probability for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cxrbench.calibrators.logistic import LEAST_SLOPE, fit_logistic

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State


@dataclass(frozen=True, kw_only=True)
class Beta:
    """Beta calibration: ``sigmoid(a ln(p) - b ln(1 - p) + c)`` of the network's probability ``p``.

    Fitted for each finding by least binary cross-entropy to the targets of
    :class:`~cxrbench.calibrators.platt.Platt`. Where ``a = b`` it is Platt's curve of the logit; otherwise
    low and high probabilities are stretched differently, which is what asymmetric losses and positive
    weights do to them.

    ``a`` and ``b`` are at least 0.01 for each standard deviation of the logits (the source: at least 0). So
    the curve rises by at least as much everywhere: the order of images within a finding does not change,
    nor does AUC.

    Source: Kull, Silva Filho and Flach, "Beta calibration: a well-founded and easily implemented improvement
    on logistic calibration for binary classifiers", 2017.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]`` (1, 0, NaN unknown and left out).

        Returns:
            ``{"a": [c floats], "b": [c floats], "c": [c floats]}``.
        """
        curves = [_curve(logits[:, c], labels[:, c]) for c in range(logits.shape[1])]
        return {name: [curve[place] for curve in curves] for place, name in enumerate("abc")}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """The curves at logits ``[n, c]``, float64."""
        from scipy.special import expit

        a, b, c = (np.asarray(state[name], dtype=np.float64) for name in "abc")
        of_low, of_high = _logarithms(logits)
        values: FloatArray = expit(a * of_low + b * of_high + c)
        return values


def _logarithms(logits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``ln(p)`` and ``-ln(1 - p)`` of the sigmoid ``p`` of logits, finite however far these are."""
    x = logits.astype("float64", copy=False)
    return -np.logaddexp(0.0, -x), np.logaddexp(0.0, x)


def _curve(logits: FloatArray, labels: FloatArray) -> tuple[float, float, float]:
    """``a``, ``b`` and ``c`` of one finding, from its logits and labels ``[n]``."""
    known = ~np.isnan(labels)
    features = np.stack(_logarithms(logits[known]))
    least = LEAST_SLOPE / (logits[known].astype("float64").std() or 1.0)
    (a, b), c = fit_logistic(features, labels[known] == 1, np.full(2, least))
    return float(a), float(b), c
