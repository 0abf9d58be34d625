"""Focal loss: what the network is sure of already counts less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Lt
from torch.nn import functional as F

from cxrbench.losses.masking import mean_over_known

if TYPE_CHECKING:
    from torch import Tensor

    from cxrbench.interfaces import FloatArray, LossFunction


@dataclass(frozen=True, kw_only=True)
class Focal:
    """Focal loss of each finding, ``-(1 - p)^gamma log p`` with the probability ``p`` of the known label.

    The mean is over known labels. Source: Lin et al., "Focal Loss for Dense Object Detection", 2017,
    equations 4 and 5.

    Attributes:
        gamma: how fast what is sure loses weight; 0 is binary cross-entropy.
        alpha: weight of positives, that of negatives being ``1 - alpha``; None weighs both 1.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    gamma: Annotated[float, Ge(0)] = 2.0
    alpha: Annotated[float, Gt(0), Lt(1)] | None = None

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function; ``labels`` and ``classes`` do not change it."""
        return partial(mean_over_known, self._elementwise)

    def _elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        signed = (2 * labels - 1) * logits
        # (1 - p)^gamma as exp(gamma log(1 - p)): no power of 0, whose gradient is not finite below gamma 1.
        losses = -(self.gamma * F.logsigmoid(-signed)).exp() * F.logsigmoid(signed)
        if self.alpha is None:
            return losses
        return losses * (self.alpha * labels + (1 - self.alpha) * (1 - labels))
