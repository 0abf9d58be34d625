"""Pooling of maps over their whole area."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Area = Literal["average", "max", "lse"]


class Pooling(nn.Module):
    """Maps ``[B, C, h, w]`` to ``[B, C]``; there is nothing in it to be learnt.

    ``lse`` is the log-sum-exp pooling of Wang et al., "ChestX-ray8", 2017 (after Pinheiro and Collobert):
    ``x* + 1/r log(1/S sum exp(r (x - x*)))`` with ``x*`` the largest and ``S`` the number of places; between
    the average (``r`` towards 0) and the maximum (``r`` large). It is computed in float32 whatever the maps'
    precision, and is finite wherever they are.
    """

    def __init__(self, over: Area, r: float = 10.0) -> None:
        super().__init__()
        self.over = over
        self.r = r

    def forward(self, maps: Tensor) -> Tensor:
        """Pooled ``[B, C]``, in the maps' precision."""
        places = maps.flatten(2)
        if self.over == "average":
            return places.mean(dim=2)
        if self.over == "max":
            return places.amax(dim=2)
        # logsumexp takes the largest out itself.
        summed = torch.logsumexp(self.r * places.float(), dim=2)
        return ((summed - math.log(places.shape[2])) / self.r).to(maps.dtype)

    def extra_repr(self) -> str:
        """How it pools."""
        return f"{self.over}, r={self.r:g}" if self.over == "lse" else self.over
