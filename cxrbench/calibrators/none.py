"""Probabilities as the network gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, State


@dataclass(frozen=True, kw_only=True)
class NoCalibrator:
    """The sigmoid of each class's log-odds; nothing is fitted."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel", "singlelabel"})

    def fit(self, logits: FloatArray, labels: FloatArray) -> State:
        """Nothing to keep."""
        return {}

    def probabilities(self, logits: FloatArray, state: State) -> FloatArray:
        """Sigmoid of log-odds ``[n, c]``, float64."""
        from scipy.special import expit

        values: FloatArray = expit(logits.astype("float64", copy=False))
        return values
