"""torch.compile: the network as kernels that Inductor writes for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import DeviceType, Engine, NumberFormat
from cxrbench.runtimes.casting import Layout, cast
from cxrbench.runtimes.devices import missing_cuda, torch_precisions
from cxrbench.runtimes.proof import is_product, name_of


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """torch.compile for one shape (:class:`cxrbench.interfaces.Runtime`).

    Attributes:
        mode: how hard Inductor tries, as ``torch.compile`` calls it.
        layout: how maps lie in memory; by default whichever is faster without compiling.
    """

    mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    layout: Layout = "auto"

    def unavailable(self, device: DeviceType) -> str:
        """On a CPU a C++ compiler is needed, on CUDA Triton."""
        if device == "cuda":
            needs = "Triton is not installed: pip install triton" if find_spec("triton") is None else ""
            return missing_cuda() or needs
        from torch._inductor.cpp_builder import get_cpp_compiler
        from torch._inductor.exc import InvalidCxxCompiler

        try:
            get_cpp_compiler()
        except (InvalidCxxCompiler, RuntimeError):
            return "there is no C++ compiler: install g++, or set CXX to one"
        return ""

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """Those that torch computes in on the device."""
        return torch_precisions(device)

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """The network, cast and compiled; weights are constants of the kernels on a CPU.

        Raises:
            CxrbenchError: it cannot be compiled.
        """
        from torch._dynamo.exc import TorchDynamoException
        from torch._inductor import config

        inputs = examples[0]
        ready = cast(network, inputs, precision, self.layout)
        compiled = torch.compile(ready, dynamic=False, mode=self.mode)
        dtypes: set[torch.dtype] = set()
        graphs = 0

        def look(graph: Any) -> None:
            nonlocal graphs
            graphs += 1
            for node in graph.nodes:
                value = node.meta.get("val")
                if node.op == "call_function" and is_product(node.target) and isinstance(value, Tensor):
                    dtypes.add(value.dtype)

        def run(inputs: Sequence[Tensor]) -> Tensor:
            # Weights are frozen only where no gradients are asked for; inference mode would not count.
            with torch.no_grad():
                logits: Tensor = compiled(*inputs)
                return logits

        try:
            with config.patch(freezing=not inputs[0].is_cuda, post_grad_custom_post_pass=look):
                run(inputs)
        except TorchDynamoException as error:
            reason = next(line for line in str(error).splitlines() if line.strip())
            raise CxrbenchError(f"torch.compile cannot compile the network: {reason.rstrip('.')}.") from error
        facts = {"layout": ready.layout, "mode": self.mode, "graphs": graphs}
        return Engine(run, name_of(dtypes), facts)
