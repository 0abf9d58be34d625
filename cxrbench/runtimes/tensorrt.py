"""TensorRT through torch-tensorrt's dynamo front end."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Ge
from torch import Tensor, nn

from cxrbench.export.onnx import AnyInputs
from cxrbench.interfaces import DeviceType, Engine, NumberFormat
from cxrbench.runtimes.casting import allow_tf32, cast
from cxrbench.runtimes.devices import missing_cuda, torch_precisions
from cxrbench.runtimes.proof import DTYPES
from cxrbench.runtimes.tensorrt_versions import (
    Casting,
    Wish,
    compile_arguments,
    debugger_arguments,
    formats_of,
    unsupported,
    version_of,
)

INSTALL = "pip install 'cxrbench[tensorrt]', with NVIDIA's package index as --extra-index-url"
"""TensorRT's own libraries lie on NVIDIA's index; on PyPI stands what fetches them."""


@dataclass(frozen=True, kw_only=True)
class TensorRt:
    """TensorRT engines of torch-tensorrt 2.10 to 2.14 (:class:`cxrbench.interfaces.Runtime`).

    Attributes:
        casting: who casts to fp16 or bf16, see :data:`cxrbench.runtimes.tensorrt_versions.Casting`.
        workspace_mb: memory that tactics may use at most, in MB; 0 for as much as there is.
        cache: folder in which engines are kept and found again; empty for none. Such engines can be refitted,
            which may cost speed.
        largest_batch: of a profile from 1 to so many images, so that one engine serves all of them; 0 for an
            engine of the very batch that is measured.
    """

    casting: Casting = "module"
    workspace_mb: Annotated[int, Ge(0)] = 0
    cache: str = ""
    largest_batch: Annotated[int, Ge(0)] = 0

    def unavailable(self, device: DeviceType) -> str:
        """It needs an NVIDIA GPU, and torch-tensorrt in a version that is known here."""
        if device == "cpu" or missing_cuda():
            return f"TensorRT needs an NVIDIA GPU: {missing_cuda() or 'give --device cuda'}"
        try:
            installed = version("torch-tensorrt")
        except PackageNotFoundError:
            return f"torch-tensorrt is not installed: {INSTALL}"
        return unsupported(version_of(installed))

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """Those of the GPU; int8 would need a network with quantisation in it."""
        return torch_precisions("cuda")

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """Export the network, compile it, and read off the engines what they compute in."""
        import torch_tensorrt

        inputs = examples[0]
        wish = Wish(precision, self.casting, self.workspace_mb, Path(self.cache) if self.cache else None)
        # What autocast casts stays fp32 here.
        ours: NumberFormat = "fp32" if self.casting == "autocast" and precision != "tf32" else precision
        ready = AnyInputs(cast(network, inputs, ours, "contiguous")).eval()
        allow_tf32(precision == "tf32")
        installed = version("torch-tensorrt")
        arguments = compile_arguments(version_of(installed), wish, DTYPES[precision])
        program = torch.export.export(ready, *self._exported(inputs))
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            with torch_tensorrt.dynamo.Debugger(**debugger_arguments(Path(folder))):
                compiled = torch_tensorrt.dynamo.compile(
                    program, arg_inputs=self._profiles(inputs, torch_tensorrt), **arguments
                )
            engines = [module for _, module in compiled.named_modules() if hasattr(module, "get_layer_info")]
            # Each call would be profiled otherwise.
            for engine in engines:
                engine.disable_profiling()
            information = [engine.get_layer_info() for engine in engines]
        proved = "+".join(_as_tf32(formats_of(information), precision)) or None

        def run(inputs: Sequence[Tensor]) -> Tensor:
            with torch.no_grad():
                logits: Tensor = compiled(*inputs)
                return logits

        fallbacks = fallen_back(compiled)
        total = _calls(program.graph_module)
        facts = {
            "version": installed,
            "tensorrt": torch_tensorrt.trt.__version__ if hasattr(torch_tensorrt, "trt") else None,
            "engines": len(engines),
            "coverage": 1 - min(1.0, sum(fallbacks.values()) / max(1, total)),
            "fallbacks": dict(fallbacks),
            "casting": self.casting,
            "profile": [1, inputs[0].shape[0], self.largest_batch] if self.largest_batch else None,
            "refittable": bool(self.cache),
        }
        return Engine(run, proved, facts)

    def _exported(self, inputs: Sequence[Tensor]) -> tuple[Any, ...]:
        """What ``torch.export.export`` is given besides: inputs, and where the batch may vary, how."""
        if not self.largest_batch:
            return (tuple(inputs),)
        # A single image would be taken for a constant size.
        two = tuple(torch.cat([each, each])[: max(2, len(each))] for each in inputs)
        batch = torch.export.Dim("batch", min=1, max=self.largest_batch)
        return two, None, (tuple({0: batch} for _ in inputs),)

    def _profiles(self, inputs: Sequence[Tensor], torch_tensorrt: Any) -> list[Any]:
        """What the compiler is told of each input's shape."""
        if not self.largest_batch:
            return list(inputs)
        return [
            torch_tensorrt.Input(
                min_shape=(1, *each.shape[1:]),
                opt_shape=tuple(each.shape),
                max_shape=(self.largest_batch, *each.shape[1:]),
                dtype=each.dtype,
            )
            for each in inputs
        ]


def _as_tf32(formats: Sequence[str], precision: NumberFormat) -> list[str]:
    """Layers of fp32 are TF32's where that was allowed: layer information tells tensors, not roundings."""
    return ["tf32" if name == "fp32" and precision == "tf32" else name for name in formats]


def fallen_back(compiled: torch.fx.GraphModule) -> Counter[str]:
    """Operators that torch computes beside the engines, by name: those of every graph that is no engine."""
    found: Counter[str] = Counter()
    for module in compiled.modules():
        if isinstance(module, torch.fx.GraphModule):
            found.update(_operators(module))
    return found


def _calls(module: torch.fx.GraphModule) -> int:
    return sum(_operators(module).values())


def _operators(module: torch.fx.GraphModule) -> Counter[str]:
    """Operators of a graph; taking an item of a tuple is none."""
    nodes = (node for node in module.graph.nodes if node.op == "call_function")
    return Counter(str(node.target) for node in nodes if "getitem" not in str(node.target))
