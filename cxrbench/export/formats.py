"""The formats that networks are exported to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cxrbench.export.onnx_file import missing_onnx, onnx_metadata, run_onnx, write_onnx
from cxrbench.export.openvino import missing_openvino, openvino_metadata, run_openvino, write_openvino
from cxrbench.export.program import program_metadata, run_program, write_program
from cxrbench.export.tensorrt import missing_tensorrt, run_tensorrt, tensorrt_metadata, write_tensorrt
from cxrbench.interfaces import DeviceType

Write = Callable[[nn.Module, Sequence[Tensor], Sequence[str], Path, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Format:
    """A format of other tools.

    Attributes:
        file: the name of its file; others may lie beside it.
        device: where networks are exported and checked.
        missing: what is missing here and how to get it; empty where nothing is.
        write: writes a network, given a batch of inputs, their names, the file and the metadata.
        run: what the written file gives of batches.
        metadata: what the written file carries.
    """

    file: str
    device: DeviceType
    missing: Callable[[], str]
    write: Write
    run: Callable[[Path, Sequence[Sequence[Tensor]]], list[Tensor]]
    metadata: Callable[[Path], dict[str, Any]]


FORMATS: Mapping[str, Format] = {
    "onnx": Format("network.onnx", "cpu", missing_onnx, write_onnx, run_onnx, onnx_metadata),
    "exported-program": Format(
        "network.pt2", "cpu", lambda: "", write_program, run_program, program_metadata
    ),
    "tensorrt": Format(
        "network.trt.pt2", "cuda", missing_tensorrt, write_tensorrt, run_tensorrt, tensorrt_metadata
    ),
    "openvino": Format(
        "network.xml", "cpu", missing_openvino, write_openvino, run_openvino, openvino_metadata
    ),
}
