"""An exported network as OpenVINO's intermediate representation, in fp32."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrbench.export.onnx import OUTPUT
from cxrbench.export.program import exported

_INFO = "cxrbench"


def missing_openvino() -> str:
    """What is missing here, and how to get it; empty where nothing is."""
    return "openvino is not installed: pip install openvino" if find_spec("openvino") is None else ""


def write_openvino(
    network: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    path: Path,
    metadata: Mapping[str, Any],
) -> None:
    """Write ``path`` (``.xml``) and its weights (``.bin``), the metadata as JSON in its ``rt_info``.

    Raises:
        CxrbenchError: the network cannot be exported.
    """
    import openvino

    model = openvino.convert_model(exported(network, inputs))
    for port, name in zip([*model.inputs, *model.outputs], [*names, OUTPUT], strict=True):
        port.get_tensor().set_names({name})
    model.set_rt_info(json.dumps(metadata), [_INFO])
    openvino.save_model(model, path, compress_to_fp16=False)


def run_openvino(path: Path, batches: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """What OpenVINO makes of batches on the CPU, in fp32."""
    import openvino
    from openvino.properties import hint

    compiled = openvino.Core().compile_model(path, "CPU", {hint.inference_precision: openvino.Type.f32})
    return [torch.from_numpy(compiled([each.numpy() for each in batch])[0].copy()) for batch in batches]


def openvino_metadata(path: Path) -> dict[str, Any]:
    """The metadata of the written model."""
    import openvino

    found: dict[str, Any] = json.loads(openvino.Core().read_model(path).get_rt_info([_INFO]).astype(str))
    return found
