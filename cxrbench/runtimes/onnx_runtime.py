"""ONNX Runtime: the network as an ONNX model, computed on a CPU or on CUDA."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from cxrbench.export.onnx import INSTALL, OUTPUT, export_onnx, missing_exporter
from cxrbench.interfaces import DeviceType, Engine, NumberFormat
from cxrbench.runtimes.casting import allow_tf32, cast
from cxrbench.runtimes.devices import missing_cuda

_PROVIDERS: dict[str, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, kw_only=True)
class OnnxRuntime:
    """ONNX Runtime (:class:`cxrbench.interfaces.Runtime`).

    Attributes:
        calibration: how int8 finds the range of each activation: its extremes, or percentiles of it.
    """

    calibration: Literal["minmax", "percentile"] = "minmax"

    def unavailable(self, device: DeviceType) -> str:
        """It needs onnxruntime, and on CUDA the build of it that has CUDA."""
        if device == "cuda" and (why := missing_cuda()):
            return why
        if find_spec("onnxruntime") is None:
            return f"onnxruntime is not installed: {INSTALL}"
        if why := missing_exporter():
            return why
        import onnxruntime

        if _PROVIDERS[device] not in onnxruntime.get_available_providers():
            return "the installed onnxruntime has no CUDA: put onnxruntime-gpu in its place"
        return ""

    def precisions(self, device: DeviceType) -> tuple[NumberFormat, ...]:
        """On a CPU it has no kernels for networks in bf16 or fp16."""
        return ("fp32", "int8") if device == "cpu" else ("fp32", "tf32", "fp16")

    def build(
        self, network: nn.Module, examples: Sequence[Sequence[Tensor]], precision: NumberFormat
    ) -> Engine:
        """Export, quantise for int8, and open a session with every optimisation.

        Raises:
            CxrbenchError: the network cannot be exported.
        """
        import onnxruntime

        inputs = examples[0]
        device = inputs[0].device
        names = [f"input_{place}" for place in range(len(inputs))]
        ready = cast(network, inputs, "fp32" if precision == "int8" else precision, "contiguous")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "network.onnx"
            export_onnx(ready.cpu(), [each.cpu() for each in inputs], names, model)
            if precision == "int8":
                model = _quantised(model, names, examples, self.calibration)
            options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
            provider = _provider(device, precision)
            session = onnxruntime.InferenceSession(model, options, providers=[provider])
            proved = _formats(Path(options.optimized_model_filepath), precision)
        run = _on_cuda(session, names, device) if device.type == "cuda" else _on_cpu(session, names)
        facts = {"provider": session.get_providers()[0], "version": onnxruntime.__version__}
        if facts["provider"] != _PROVIDERS[device.type]:
            facts["note"] = f"{_PROVIDERS[device.type]} could not be started, so that another computes"
        return Engine(run, proved, facts)


def _provider(device: torch.device, precision: NumberFormat) -> tuple[str, dict[str, str]]:
    if device.type == "cpu":
        return _PROVIDERS["cpu"], {}
    allow_tf32(precision == "tf32")
    return _PROVIDERS["cuda"], {
        "device_id": str(device.index or 0),
        "use_tf32": str(int(precision == "tf32")),
        # On torch's stream, so that events and copies of torch's are in order with it.
        "user_compute_stream": str(torch.cuda.current_stream(device).cuda_stream),
    }


def _on_cpu(session: Any, names: Sequence[str]) -> Any:
    def run(inputs: Sequence[Tensor]) -> Tensor:
        arrays = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run([OUTPUT], arrays)[0])

    return run


def _on_cuda(session: Any, names: Sequence[str], device: torch.device) -> Any:
    classes = session.get_outputs()[0].shape[1]
    index = device.index or 0

    def run(inputs: Sequence[Tensor]) -> Tensor:
        binding = session.io_binding()
        kept = [each.contiguous() for each in inputs]
        logits = torch.empty((len(kept[0]), classes), dtype=torch.float32, device=device)
        for name, each in zip(names, kept, strict=True):
            binding.bind_input(name, "cuda", index, np.float32, tuple(each.shape), each.data_ptr())
        binding.bind_output(OUTPUT, "cuda", index, np.float32, tuple(logits.shape), logits.data_ptr())
        session.run_with_iobinding(binding)
        return logits

    return run


def _quantised(
    model: Path, names: Sequence[str], examples: Sequence[Sequence[Tensor]], calibration: str
) -> Path:
    """The model with int8 weights (by channel) and uint8 activations, whose ranges are of the examples."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Examples(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Sequence[Tensor]] = iter(examples)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._left, None)
            if batch is None:
                return None
            return {name: each.cpu().numpy() for name, each in zip(names, batch, strict=True)}

    folded, quantised = model.with_name("folded.onnx"), model.with_name("int8.onnx")
    # Symbolic shapes are not needed: all shapes but the batch's are known.
    quant_pre_process(model, folded, skip_symbolic_shape=True)
    methods = {"minmax": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
    quantize_static(
        folded,
        quantised,
        Examples(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=methods[calibration],
        op_types_to_quantize=["Conv", "Gemm", "MatMul", "Add", "Concat", "MaxPool", "GlobalAveragePool"],
        # Processors without VNNI add pairs of products in 16 bits, which would overflow with 8-bit weights.
        reduce_range=not _has_vnni(),
    )
    return quantised


def _has_vnni() -> bool:
    """Whether the processor adds products of bytes in 32 bits; False where nobody says."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "vnni" in cpuinfo.read_text(encoding="utf-8", errors="replace")


def _formats(model: Path, precision: NumberFormat) -> str | None:
    """Formats of the weights of products in the model as the session has optimised it, such as ``fp32``."""
    import onnx

    graph = onnx.load(model).graph
    types = {each.name: each.data_type for each in graph.initializer}
    kinds = onnx.TensorProto
    fp32 = "tf32" if precision == "tf32" else "fp32"
    known = {kinds.FLOAT: fp32, kinds.FLOAT16: "fp16", kinds.INT8: "int8", kinds.UINT8: "int8"}
    found = {
        known.get(types[name], kinds.DataType.Name(types[name]).lower())
        for node in graph.node
        if any(part in node.op_type for part in ("Conv", "Gemm", "MatMul"))
        # The weights stand behind the first input; scales and biases of int8 do not say what is multiplied.
        for name in node.input[1:]
        if name in types
        and (not node.op_type.startswith("Q") or types[name] != kinds.FLOAT)
        and types[name] != kinds.INT32
    }
    return "+".join(sorted(found)) or None
