"""Trying a network out before anything is trained with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cxrbench.errors import UsageError


def tried_out(network: nn.Module, channels: int, image_size: int) -> Tensor:
    """What one black image ``[1, channels, S, S]`` becomes; the network is in training mode behind it."""
    network.eval()
    with torch.no_grad():
        output: Tensor = network(torch.zeros(1, channels, image_size, image_size))
    network.train()
    return output


@contextmanager
def for_images_of(image_size: int, name: str, advice: str) -> Iterator[None]:
    """Say in one sentence that a network cannot be built for images of that size, or tried out on one.

    Args:
        image_size: side of the images, in pixels.
        name: of the network.
        advice: what sizes there are instead.

    Raises:
        UsageError: what is in the block does not work.
    """
    try:
        yield
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{name} cannot take images of {image_size} px ({reason}); {advice}.") from error
