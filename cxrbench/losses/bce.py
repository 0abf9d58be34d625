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
        self._on_device: dict[torch.device, Tensor] = {}

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss, a float32 scalar, of logits ``[B, c]`` and labels ``[B, c]`` (1, 0, NaN unknown)."""
        return mean_over_known(self._elementwise, logits, labels)

    def _elementwise(self, logits: Tensor, labels: Tensor) -> Tensor:
        weights = self._weights_on(logits.device)
        return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="none")

    def _weights_on(self, device: torch.device) -> Tensor | None:
        """Copied once for each device, not once a step: a copy from the host would stall the device."""
        if self.positive_weights is not None and device not in self._on_device:
            self._on_device[device] = self.positive_weights.to(device)
        return self._on_device.get(device)


@dataclass(frozen=True, kw_only=True)
class Bce:
    """Binary cross-entropy, every finding and both its classes alike."""

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    def build(self, labels: FloatArray, classes: Sequence[str]) -> LossFunction:
        """The loss function; ``labels`` and ``classes`` do not change it."""
        return MaskedBce()
