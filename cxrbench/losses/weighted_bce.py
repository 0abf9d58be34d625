"""Binary cross-entropy with a positive weight for each finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Gt

from cxrbench.errors import UsageError, did_you_mean
from cxrbench.losses.bce import MaskedBce

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray, LossFunction

PUBLISHED: Mapping[str, float] = {
    "Atelectasis": 1.8179,
    "Cardiomegaly": 2.5823,
    "Effusion": 1.6668,
    "Infiltration": 1.6402,
    "Mass": 2.2459,
    "Nodule": 2.1768,
    "Pneumonia": 3.0943,
    "Pneumothorax": 2.3087,
    "Consolidation": 2.4346,
    "Edema": 2.8127,
    "Emphysema": 2.6907,
    "Fibrosis": 3.0209,
    "Pleural_Thickening": 2.4494,
    "Hernia": 3.0943,
}
"""Enríquez Rodríguez et al., "Computational vision model for multi-label classification…"."""


@dataclass(frozen=True, kw_only=True)
class WeightedBce:
    """Binary cross-entropy in which the positives of each finding weigh more, the rarer it is.

    Attributes:
        weights: where the positive weights come from. With N known labels of a finding, n of them positive:
            ``log`` is ``log(1 + N/n)``, ``ratio`` is ``(N - n)/n``, negatives to positives; 1 where a finding
            has no positive, or under ``ratio`` no negative. ``published`` is the table :data:`PUBLISHED`,
            whose values ``log`` comes near to.
        overrides: weights of single findings, by name, in place of those.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    weights: Literal["log", "ratio", "published"] = "log"
    overrides: Mapping[str, Annotated[float, Gt(0)]] | None = None

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function for training labels ``[n, c]`` of these classes.

        Raises:
            UsageError: as :meth:`positive_weights`.
        """
        return MaskedBce(self.positive_weights(labels, classes))

    def positive_weights(self, labels: FloatArray, classes: Sequence[str]) -> FloatArray:
        """The positive weight ``[c]`` of each class, from training labels ``[n, c]`` (1, 0, NaN unknown).

        Raises:
            UsageError: an override names no class or is not above 0, or the published table lacks a class
                that is not overridden either.
        """
        overrides = self.overrides or {}
        _check(overrides, classes)
        table = PUBLISHED if self.weights == "published" else self._counted(labels, classes)
        table = {**table, **overrides}
        missing = [name for name in classes if name not in table]
        if missing:
            raise UsageError(
                f"The published weights have none for {', '.join(missing)}; "
                "give it in 'overrides', or choose weights=log or weights=ratio."
            )
        return np.array([table[name] for name in classes], dtype=np.float64)

    def _counted(self, labels: FloatArray, classes: Sequence[str]) -> Mapping[str, float]:
        positives = np.nansum(labels, axis=0)
        known = np.sum(~np.isnan(labels), axis=0)
        n = np.maximum(positives, 1)
        weights = np.log1p(known / n) if self.weights == "log" else (known - positives) / n
        weights[(positives == 0) | (weights == 0)] = 1.0
        return dict(zip(classes, weights.tolist(), strict=True))


def _check(overrides: Mapping[str, float], classes: Sequence[str]) -> None:
    for name, weight in overrides.items():
        if name not in classes:
            hint = did_you_mean(name, classes)
            raise UsageError(f"The loss 'weighted_bce' overrides '{name}', which is no class here; {hint}")
        if not weight > 0:
            raise UsageError(f"The loss 'weighted_bce' cannot weigh {name} by {weight:g}; give more than 0.")
