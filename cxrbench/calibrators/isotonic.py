"""A rising step curve of the logit for each finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State

_ORDER_SHARE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Isotonic:
    """Isotonic regression of the labels on the logit, for each finding: any curve that rises.

    The curve is linear between its knots and flat beyond the outermost; it stays between ``1 / (n- + 2)`` and
    ``(n+ + 1) / (n+ + 2)``, Platt's targets for ``n-`` negatives and ``n+`` positives: with 0 or 1, one
    image that is otherwise would make the log-loss of a whole test set infinite.

    The plain curve has plateaus, on which images would tie: AUC and average precision would differ from
    those of the raw logits, by how tune's labels happened to fall and not by what the network knows. So
    one millionth of a probability goes to ``(1 + x / (1 + |x|)) / 2`` of the logit ``x``, which rises
    everywhere: the order of images within a finding does not change, and no probability moves by more than
    that millionth.

    Needs more images than curves with a formula do: see Niculescu-Mizil and Caruana, "Predicting Good
    Probabilities With Supervised Learning", 2005. Source: Zadrozny and Elkan, "Transforming Classifier
    Scores into Accurate Multiclass Probability Estimates", 2002.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Fit on logits ``[n, c]`` and labels ``[n, c]`` (1, 0, NaN unknown and left out).

        Returns:
            ``{"curves": [{"logits": knots, "probabilities": values there} for each of the c classes]}``.
        """
        return {"curves": [_curve(logits[:, c], labels[:, c]) for c in range(logits.shape[1])]}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """The curves at logits ``[n, c]``, float64."""
        x = logits.astype("float64", copy=False)
        plain = [
            np.interp(x[:, c], curve["logits"], curve["probabilities"])
            for c, curve in enumerate(state["curves"])
        ]
        rising = (1 + x / (1 + np.abs(x))) / 2
        values: FloatArray = (1 - _ORDER_SHARE) * np.column_stack(plain) + _ORDER_SHARE * rising
        return values


def _curve(logits: FloatArray, labels: FloatArray) -> dict[str, list[float]]:
    """The knots of one finding, from its logits and labels ``[n]``."""
    from sklearn.isotonic import IsotonicRegression

    known = ~np.isnan(labels)
    positives, negatives = (labels == 1).sum(), (labels == 0).sum()
    regression = IsotonicRegression(y_min=1 / (negatives + 2), y_max=1 - 1 / (positives + 2))
    regression.fit(logits[known].astype("float64"), labels[known])
    return {
        "logits": regression.X_thresholds_.tolist(),
        "probabilities": regression.y_thresholds_.tolist(),
    }
