"""Blur and contrast of views, each image by its own strength."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def blurred(view: Tensor, sigma: Tensor, applied: Tensor, kernel: int) -> Tensor:
    """A Gaussian blur, its weights cut off at the kernel and summing to 1; edges are mirrored.

    Args:
        view: float ``[B, 1, S, S]``.
        sigma: pixels ``[B]``.
        applied: bool ``[B]``; the other images stay exactly as they are.
        kernel: side of the kernel in pixels, odd.

    Returns:
        float ``[B, 1, S, S]``.
    """
    reach = kernel // 2
    distance = torch.arange(-reach, reach + 1, device=view.device)
    weights = torch.exp(-0.5 * (distance / sigma[:, None]) ** 2)
    weights = torch.where(applied[:, None], weights / weights.sum(1, keepdim=True), (distance == 0).float())
    # Images become channels of one image: a grouped convolution gives each its own kernel.
    kernels = (weights[:, :, None] * weights[:, None, :]).unsqueeze(1)
    channels = F.pad(view.transpose(0, 1), (reach, reach, reach, reach), mode="reflect")
    return F.conv2d(channels, kernels, groups=len(view)).transpose(0, 1)


def contrasted(view: Tensor, factor: Tensor) -> Tensor:
    """Each image's distance from its own mean multiplied, and cut to 0..1.

    Args:
        view: float 0..1 ``[B, 1, S, S]``.
        factor: ``[B]``, at least 0; 1 leaves an image as it is, under 1 takes contrast away.

    Returns:
        float 0..1 ``[B, 1, S, S]``.
    """
    mean = view.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean, view, factor[:, None, None, None]).clamp_(0, 1)
