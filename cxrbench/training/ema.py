"""An exponential moving average of a network's weights."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def average_of(network: nn.Module, decay: float) -> AveragedModel | None:
    """An average that ``update_parameters`` moves by ``1 - decay`` a step; None for a decay of 0.

    Its first update takes the weights as they are. Batch normalisation's statistics are averaged like
    weights, since those of the last step belong to weights that the average
    does not have. The network lies on its device already, and is not wrapped yet.
    """
    if not decay:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
