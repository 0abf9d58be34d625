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
    crop: float,
    batch_size: int,
    channels_last: bool,
    device: torch.device,
    advance: Advance | None = None,
) -> Tensor:
    """Logits float32 ``[n, classes]`` on the CPU, in the rows' order; the network is put into eval mode.

    ``batch_size`` is training's: without gradients twice as many images fit, as a rule; where they do not,
    half as many are tried, down to one. ``advance`` hears of progress.

    Raises:
        torch.OutOfMemoryError: not even one image fits.
    """
    network.eval()
    parts: list[Tensor] = []
    at_once = batch_size * 2
    with torch.inference_mode():
        for batch in loader(rows, at_once):
            count, done = len(batch["row"]), 0
            while done < count:
                part = {name: tensor[done : done + at_once].to(device) for name, tensor in batch.items()}
                try:
                    inputs = network_inputs(backbone, part, image_size, crop, channels_last)
                    # A network may hand out its own parameters, which keep their gradients even here.
                    logits = network(*inputs).detach().float().cpu()
                except torch.OutOfMemoryError:
                    if at_once == 1:
                        raise
                    at_once //= 2
                    continue
                parts.append(logits)
                done += len(logits)
            if advance is not None:
                advance(count, "")
    return torch.cat(parts)
