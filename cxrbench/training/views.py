"""What a network sees of stored images: evaluation's central view, and any view as the network's inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from cxrbench.interfaces import Backbone
    from cxrbench.training.batches import Batch


def seen_share(side: int, size: int, crop: float) -> float:
    """The share of a stored image's side that a view of ``size`` pixels covers.

    Images are stored so that the crop has ``size`` pixels or a fraction of a pixel more; then a view takes
    exactly ``size`` of them, pixel by pixel, and its share is ``size / side``. Else it is ``crop``.
    """
    return size / side if abs(side * crop - size) < 1 else crop


def central_window(side: int, size: int, crop: float) -> tuple[int, int]:
    """Where :func:`central_view` begins in a stored image, and its side there, in stored pixels."""
    window = round(side * seen_share(side, size, crop))
    return (side - window) // 2, window


def central_view(pixels: Tensor, size: int, crop: float) -> Tensor:
    """The centre of whole images, as evaluation sees it.

    Args:
        pixels: uint8 ``[B, 1, side, side]``.
        size: side of the result.
        crop: share of the side that is seen; resized, without aliasing, where it has other than ``size``
            pixels.

    Returns:
        float 0..1 ``[B, 1, size, size]``.
    """
    margin, window = central_window(pixels.shape[-1], size, crop)
    seen = pixels[..., margin : margin + window, margin : margin + window].float().div_(255)
    return seen if window == size else F.interpolate(seen, (size, size), mode="bilinear", antialias=True)


def normalised(view: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Grey ``[B, 1, S, S]`` in 0..1 as the network's channels ``[B, len(mean), S, S]``, normalised."""
    # By plain numbers: a tensor of them would be copied from the host in every step, the device waiting.
    return torch.cat([(view - centre) / scale for centre, scale in zip(mean, std, strict=True)], dim=1)


def network_inputs(
    backbone: Backbone,
    batch: Batch,
    image_size: int,
    crop: float,
    channels_last: bool,
    view: Callable[[Tensor, int, float], Tensor] = central_view,
) -> list[Tensor]:
    """What the network's ``forward`` takes, from a batch; ``view`` makes what it sees of the pixels.

    Of a batch with stored features it is these: the network is then the part behind them.
    """
    if "features" in batch:
        return [batch["features"]]
    inputs = []
    for name in backbone.inputs:
        if name == "patient":
            inputs.append(batch["patient"])
            continue
        seen = view(batch["pixels"], image_size, crop)
        image = normalised(seen, backbone.mean, backbone.std)
        inputs.append(image.contiguous(memory_format=torch.channels_last) if channels_last else image)
    return inputs
