"""OpenVINO: the exported network, compiled for the processor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cxrbench.export.onnx import AnyInputs
from cxrbench.interfaces import DeviceType, Engine, NumberFormat

_CAPABILITIES: dict[NumberFormat, str] = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}
"""What OpenVINO calls a format among a device's capabilities."""

_NAMES = {"f32": "fp32", "bf16": "bf16", "f16": "fp16", "i8": "int8", "u8": "int8"}
_PRODUCTS = ("Convolution", "GroupConvolution", "FullyConnected", "MatMul")
"""Layers of a compiled model that multiply."""


@dataclass(frozen=True, kw_only=True)
class OpenVino:
    """OpenVINO on a CPU (:class:`cxrbench.interfaces.Runtime`).

    Attributes:
        hint: its performance mode.
    """

    hint: Literal["latency", "throughput"] = "latency"

    def unavailable(self, device: DeviceType) -> str:
        """It needs openvino, and computes on the CPU alone here."""
        if device != "cpu":
            return "OpenVINO is used on a CPU: --device cpu"
        if find_spec("openvino") is None:
            return "openvino is not installed: pip install cxrbench-openvino"
        return ""

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """Those that the processor has; in others OpenVINO would compute in fp32 unasked."""
        import openvino

        has = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return tuple(name for name, called in _CAPABILITIES.items() if called in has)

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """Export, convert and compile for the examples' shape."""
        import openvino
        from openvino import properties
        from openvino.properties import hint

        inputs = tuple(each.contiguous() for each in examples[0])
        ready = AnyInputs(network.requires_grad_(False)).eval()
        model = openvino.convert_model(torch.export.export(ready, inputs))
        types = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16, "fp16": openvino.Type.f16}
        modes = {"latency": hint.PerformanceMode.LATENCY, "throughput": hint.PerformanceMode.THROUGHPUT}
        compiled = openvino.Core().compile_model(
            model,
            "CPU",
            {
                hint.inference_precision: types[precision],
                hint.performance_mode: modes[self.hint],
                properties.inference_num_threads: torch.get_num_threads(),
                # A request at a time is what is measured.
                hint.num_requests: 1,
            },
        )
        request = compiled.create_infer_request()

        def run(inputs: Sequence[Tensor]) -> Tensor:
            arrays = [each.contiguous().numpy() for each in inputs]
            (logits,) = request.infer(arrays, share_inputs=True).values()
            return torch.from_numpy(logits)

        facts = {
            "version": openvino.__version__,
            "threads": int(compiled.get_property(properties.inference_num_threads)),
            "streams": int(compiled.get_property(properties.num_streams)),
        }
        return Engine(run, _computes_in(compiled), facts)


def _computes_in(compiled: Any) -> str | None:
    """The formats of the layers that multiply, of the model as it was compiled."""
    found = set()
    for layer in compiled.get_runtime_model().get_ops():
        told = layer.get_rt_info()
        if told["layerType"].astype(str) in _PRODUCTS:
            name = told["runtimePrecision"].astype(str)
            found.add(_NAMES.get(name, name))
    return "+".join(sorted(found)) or None
