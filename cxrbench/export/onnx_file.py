"""An exported network as an ONNX file that carries its metadata, written and run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrbench.export.metadata import texts
from cxrbench.export.onnx import INSTALL, OUTPUT, export_onnx, missing_exporter

_PREFIX = "cxrbench."


def missing_onnx() -> str:
    """What is missing here to write the file and to check it, and how to get it; empty where nothing is."""
    if find_spec("onnxruntime") is None:
        return f"onnxruntime is not installed: {INSTALL}"
    return missing_exporter()


def write_onnx(
    network: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    path: Path,
    metadata: Mapping[str, Any],
) -> None:
    """Write ``path`` with the metadata as its properties ``cxrbench.…``.

    Raises:
        CxrbenchError: the network cannot be exported.
    """
    export_onnx(network, inputs, names, path, texts(metadata))


def run_onnx(path: Path, batches: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """What ONNX Runtime makes of batches on the CPU."""
    session = _session(path)
    names = [each.name for each in session.get_inputs()]
    return [
        torch.from_numpy(
            session.run([OUTPUT], {name: each.numpy() for name, each in zip(names, batch, strict=True)})[0]
        )
        for batch in batches
    ]


def onnx_metadata(path: Path) -> dict[str, Any]:
    """The metadata of the written file, as ONNX Runtime reads them."""
    told = _session(path).get_modelmeta().custom_metadata_map
    return {
        name.removeprefix(_PREFIX): _value(text) for name, text in told.items() if name.startswith(_PREFIX)
    }


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _value(text: str) -> Any:
    return json.loads(text) if text[:1] in "[{" else text
