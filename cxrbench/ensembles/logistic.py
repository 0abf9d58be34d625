"""Stacking: a logistic regression for each finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Gt
from scipy.special import expit

from cxrbench.ensembling.scales import logits_of
from cxrbench.ensembling.weights import normalised
from cxrbench.interfaces import FoundEnsemble

if TYPE_CHECKING:
    from cxrbench.interfaces import Fitness, FloatArray, Members, State


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """Stacking (Wolpert 1992): for each finding a logistic regression of its label on the members' logits.

    With an L2 penalty. It minimises log loss, whatever the fitness. Coefficients may be negative; the weights
    shown are the shares of their sizes.

    Attributes:
        C: inverse strength of the penalty, on logits that are scaled to unit variance.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    C: Annotated[float, Gt(0)] = 1.0

    @property
    def rounds(self) -> int:
        """All findings are one round."""
        return 1

    def search(
        self, members: Members, fitness: Fitness, seed: int, advance: Callable[[float], None]
    ) -> FoundEnsemble:
        """Weights ``[m, c]``; a finding without both classes takes the members' average."""
        from sklearn.linear_model import LogisticRegression

        inputs = logits_of(members.scores, members.scale)
        count, _, classes = inputs.shape
        coefficients = np.full((count, classes), 1 / count)
        intercepts = np.zeros(classes)
        for column in range(classes):
            labels = members.labels[:, column]
            known = ~np.isnan(labels)
            if len(np.unique(labels[known])) < 2:
                continue
            values = inputs[:, known, column].T
            centre, spread = values.mean(axis=0), values.std(axis=0)
            spread = np.where(spread > 0, spread, 1)
            model = LogisticRegression(C=self.C, max_iter=1000)
            model.fit((values - centre) / spread, labels[known])
            coefficients[:, column] = model.coef_[0] / spread
            intercepts[column] = model.intercept_[0] - coefficients[:, column] @ centre
        weights = normalised(np.abs(coefficients), axis=0)
        state = {
            "scale": members.scale,
            "coefficients": coefficients.tolist(),
            "intercepts": intercepts.tolist(),
        }
        advance(float("nan"))
        return FoundEnsemble(weights, state, weights[None])

    def combine(self, scores: FloatArray, state: State) -> FloatArray:
        """Probabilities of the regressions, or their logits where members' logits are combined."""
        inputs = logits_of(scores, state["scale"])
        coefficients = np.asarray(state["coefficients"], np.float64)
        logits = np.einsum("mc,mnc->nc", coefficients, inputs) + np.asarray(state["intercepts"])
        return logits if state["scale"] == "logits" else np.asarray(expit(logits))
