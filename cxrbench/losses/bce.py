"""Binary cross-entropy, every finding alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional as F

from cxrbench.losses.masking import mean_over_known

if TYPE_CHECKING:
    from torch import Tensor

    from cxrbench.interfaces import FloatArray, LossFunction


class MaskedBce:
    """Mean binary cross-entropy with logits over the known labels of a batch.

    Always computed in float32, whatever autocast does. A batch without any known label gives 0, with a
    gradient of 0.

    Args:
        positive_weights: factor ``[c]`` of the loss of each class's positives; None is 1 for all.
    """

    def __init__(self, positive_weights: FloatArray | None = None) -> None:
        self.positive_weights = (
            None if positive_weights is None else torch.as_tensor(positive_weights, dtype=torch.float32)
        )

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, a float32 scalar, of logits ``[B, c]`` and labels ``[B, c]`` (1, 0, NaN unknown)."""
        if self.positive_weights is not None and self.positive_weights.device != logits.device:
            # Once a run, not once a step: copying from the host would stall the device.
            self.positive_weights = self.positive_weights.to(logits.device)
        return mean_over_known(self._elementwise, logits, labels)

    def _elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            logits, labels, pos_weight=self.positive_weights, reduction="none"
        )


@dataclass(frozen=True, kw_only=True)
class Bce:
    """Binary cross-entropy, every finding and both its classes alike."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function; ``labels`` and ``classes`` do not change it."""
        return MaskedBce()
