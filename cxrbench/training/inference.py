"""Logits of rows: the one way through a network without training it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cxrbench.interfaces import Backbone
from cxrbench.reporter import Advance
from cxrbench.training.batches import Rows, loader
from cxrbench.training.views import network_inputs


def logits_of(
    network: nn.Module,
    backbone: Backbone,
    rows: Rows,
    *,
    image_size: int,
    batch_size: int,
    channels_last: bool,
    device: torch.device,
    advance: Advance | None = None,
) -> Tensor:
    """Logits float32 ``[n, classes]`` on the CPU, in the rows' order; the network is put into eval mode.

    ``batch_size`` is training's: without gradients twice as many images fit. ``advance`` hears of progress.
    """
    network.eval()
    parts = []
    with torch.inference_mode():
        for batch in loader(rows, batch_size * 2):
            moved = {name: tensor.to(device) for name, tensor in batch.items()}
            parts.append(network(*network_inputs(backbone, moved, image_size, channels_last)).float().cpu())
            if advance is not None:
                advance(len(batch["row"]), "")
    return torch.cat(parts)
