"""What the losses do with unknown labels and with autocast."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from cxrbench.interfaces import LossFunction


def mean_over_known(elementwise: LossFunction, logits: Tensor, labels: Tensor) -> Tensor:
    """The mean loss over the known labels of a batch, in float32 whatever autocast does.

    A batch without any known label gives 0, with a gradient of 0.

    Args:
        elementwise: the loss ``[B, c]`` of float32 logits and labels (1 or 0) ``[B, c]``, finite for any
            finite logits.
        logits: ``[B, c]``, of any precision.
        labels: ``[B, c]``; 1, 0, or NaN where unknown.
    """
    known = ~labels.isnan()
    losses = elementwise(logits.float(), labels.float().nan_to_num())
    return (losses * known).sum() / known.sum().clamp(min=1)
