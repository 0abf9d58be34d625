"""A network put into a number format and memory layout, taking and giving float32 as before."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from cxrbench.interfaces import NumberFormat
from cxrbench.runtimes.proof import DTYPES

Layout = Literal["auto", "contiguous", "channels_last"]
"""How maps lie in memory; ``auto`` tries both, and takes the faster."""

_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
_TRIES = 5


class Cast(nn.Module):
    """A network that computes in ``dtype`` and lays images out in ``layout``; inputs and logits are float32.

    Parameters, buffers and activations are cast. Statistics of batch norms are too, which the gate judges.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype, layout: str = "contiguous") -> None:
        super().__init__()
        self.network = network.to(dtype=dtype).to(memory_format=_FORMATS[layout])
        self.dtype, self.layout = dtype, layout
        self.eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits float32 ``[B, c]`` of float32 inputs."""
        cast = [self._laid_out(each.to(self.dtype)) for each in inputs]
        logits: Tensor = self.network(*cast)
        return logits.float()

    def _laid_out(self, tensor: Tensor) -> Tensor:
        return tensor.contiguous(memory_format=_FORMATS[self.layout]) if tensor.dim() == 4 else tensor


def cast(network: nn.Module, inputs: Sequence[Tensor], precision: NumberFormat, layout: Layout) -> Cast:
    """A network in evaluation mode, cast; ``auto`` is resolved with these inputs.

    Products in fp32 are rounded to TF32 where, and only where, that is the format, in all of this process.
    """
    network.requires_grad_(False)
    allow_tf32(precision == "tf32")
    dtype = DTYPES[precision]
    if layout == "auto":
        layout = "contiguous"
        if any(each.dim() == 4 for each in inputs):
            seconds = {name: _seconds(Cast(network, dtype, name), inputs) for name in _FORMATS}
            layout = "contiguous" if seconds["contiguous"] <= seconds["channels_last"] else "channels_last"
    return Cast(network, dtype, layout)


def allow_tf32(allowed: bool) -> None:
    """Let fp32 products be rounded to TF32 on CUDA, or not."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def _seconds(network: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Of one pass, the median of a few after two to warm up."""
    found = []
    with torch.inference_mode():
        for _ in range(_TRIES + 2):
            started = time.perf_counter()
            network(*inputs)
            if inputs[0].is_cuda:
                torch.cuda.synchronize()
            found.append(time.perf_counter() - started)
    return statistics.median(found[2:])
