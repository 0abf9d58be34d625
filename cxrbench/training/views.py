"""What the network sees of stored images: evaluation's central crop, and training's augmented one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from cxrbench.interfaces import Backbone
from cxrbench.training.batches import Batch

_ROTATION_DEGREES = 7.0
_TRANSLATION_SHARE = 0.06


def central_view(pixels: Tensor, size: int) -> Tensor:
    """The centre of uint8 ``[B, 1, side, side]``, as float 0..1 ``[B, 1, size, size]``."""
    margin = (pixels.shape[-1] - size) // 2
    return pixels[..., margin : margin + size, margin : margin + size].float().div_(255)


def augmented_view(pixels: Tensor, size: int, draws: Tensor) -> Tensor:
    """A random 90% crop, rotated to ±7° and translated to 6%, in one bilinear warp.

    Args:
        pixels: uint8 ``[B, 1, side, side]``.
        size: side of the result; ``size / side`` is the share that the crop keeps.
        draws: uniform numbers ``[B, 3]``: rotation, shift right, shift down. The crop's place and the
            translation are one shift.

    Returns:
        float 0..1 ``[B, 1, size, size]``; beyond the image's edge the edge is repeated.
    """
    share = size / pixels.shape[-1]
    angle = (draws[:, 0] * 2 - 1) * math.radians(_ROTATION_DEGREES)
    # In affine_grid's units the image spans 2, so a shift by a share s of it is 2 s; the crop may
    # move by half of what it leaves out to either side.
    reach = (1 - share) + 2 * _TRANSLATION_SHARE * share
    shift = (draws[:, 1:3] * 2 - 1) * reach
    cosine, sine = angle.cos() * share, angle.sin() * share
    rows = (torch.stack([cosine, -sine, shift[:, 0]], dim=1), torch.stack([sine, cosine, shift[:, 1]], dim=1))
    matrix = torch.stack(rows, dim=1)
    grid = F.affine_grid(matrix, [len(pixels), 1, size, size], align_corners=False)
    return F.grid_sample(pixels.float().div_(255), grid, padding_mode="border", align_corners=False)


def normalised(view: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Grey ``[B, 1, S, S]`` in 0..1 as the network's channels ``[B, len(mean), S, S]``, normalised."""
    shape = (1, len(mean), 1, 1)
    return (view - view.new_tensor(mean).view(shape)) / view.new_tensor(std).view(shape)


def network_inputs(
    backbone: Backbone,
    batch: Batch,
    image_size: int,
    channels_last: bool,
    view: Callable[[Tensor, int, float], Tensor] | None = None,
) -> list[Tensor]:
    """What the network's ``forward`` takes, from a batch; ``view`` makes what it sees, else the centre."""
    inputs = []
    for name in backbone.inputs:
        if name == "patient":
            inputs.append(batch["patient"])
            continue
        pixels = batch["pixels"]
        seen = central_view(pixels, image_size) if view is None else view(pixels, image_size, 0.9)
        image = normalised(seen, backbone.mean, backbone.std)
        inputs.append(image.contiguous(memory_format=torch.channels_last) if channels_last else image)
    return inputs
