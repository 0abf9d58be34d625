"""Logits of rows, or other outputs: the one way through a network without training it."""

from __future__ import annotations

from collections.abc import Iterator

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
    """Logits float32 ``[n, classes]`` on the CPU, in the rows' order: :func:`outputs_of` as one tensor."""
    return torch.cat(
        list(
            outputs_of(
                network,
                backbone,
                rows,
                image_size=image_size,
                crop=crop,
                batch_size=batch_size,
                channels_last=channels_last,
                device=device,
                advance=advance,
            )
        )
    )


def outputs_of(
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
) -> Iterator[Tensor]:
    """The network's outputs float32 ``[b, …]`` on the CPU, in the rows' order; it is put into eval mode.

    ``batch_size`` is training's: without gradients twice as many images fit, as a rule; where they do not,
    half as many are tried, down to one. ``advance`` hears of progress.

    Raises:
        torch.OutOfMemoryError: not even one image fits.
    """
    network.eval()
    at_once = batch_size * 2
    with torch.inference_mode():
        for batch in loader(rows, at_once):
            count, done = len(batch["row"]), 0
            while done < count:
                part = {name: tensor[done : done + at_once].to(device) for name, tensor in batch.items()}
                try:
                    inputs = network_inputs(backbone, part, image_size, crop, channels_last)
                    # A network may hand out its own parameters, which keep their gradients even here.
                    outputs = network(*inputs).detach().float().cpu()
                except torch.OutOfMemoryError:
                    if at_once == 1:
                        raise
                    at_once //= 2
                    continue
                done += len(outputs)
                yield outputs
            if advance is not None:
                advance(count, "")
