"""CUDA graphs: torch's kernels recorded once and replayed together, so that launching costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cxrbench.interfaces import DeviceType, Engine, NumberFormat
from cxrbench.runtimes.casting import Layout, cast
from cxrbench.runtimes.devices import missing_cuda, torch_precisions
from cxrbench.runtimes.proof import Products, name_of

_WARM_UP = 3
"""Passes before recording, as torch's documentation of CUDA graphs has it."""


@dataclass(frozen=True, kw_only=True)
class CudaGraphs:
    """torch's kernels as one CUDA graph (:class:`cxrbench.interfaces.Runtime`).

    Attributes:
        layout: how maps lie in memory; by default whichever is faster without the graph.
    """

    layout: Layout = "auto"

    def unavailable(self, device: DeviceType) -> str:
        """It needs CUDA."""
        return missing_cuda() if device == "cuda" else "CUDA graphs need a CUDA device: --device cuda"

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """Those that torch computes in on CUDA."""
        return torch_precisions("cuda")

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """Record a pass; a call copies its inputs to where the pass read them."""
        ready = cast(network, examples[0], precision, self.layout)
        held = [each.clone() for each in examples[0]]
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode():
            with Products() as seen:
                ready(*held)
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(_WARM_UP):
                    ready(*held)
            torch.cuda.current_stream().wait_stream(beside)
            with torch.cuda.graph(graph):
                logits: Tensor = ready(*held)

        def run(inputs: Sequence[Tensor]) -> Tensor:
            with torch.inference_mode():
                for to, each in zip(held, inputs, strict=True):
                    to.copy_(each)
                graph.replay()
                return logits.clone()

        return Engine(run, name_of(seen.dtypes), {"layout": ready.layout})
