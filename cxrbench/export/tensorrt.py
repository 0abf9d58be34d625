"""An exported network as TensorRT engines within a program of ``torch.export``, for this GPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrbench.export.program import exported
from cxrbench.runtimes.casting import allow_tf32
from cxrbench.runtimes.tensorrt import TensorRt
from cxrbench.runtimes.tensorrt_versions import Wish, compile_arguments, version_of

LARGEST_BATCH = 32
"""Images that the engines take at most at once."""


def missing_tensorrt() -> str:
    """What is missing here, and how to get it; empty where nothing is."""
    return TensorRt().unavailable("cuda")


def write_tensorrt(
    network: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    path: Path,
    metadata: Mapping[str, Any],
) -> None:
    """Write ``path`` (``.pt2``) in fp32, for batches of 1 to :data:`LARGEST_BATCH`; metadata lie beside it.

    Raises:
        CxrbenchError: the network cannot be exported.
    """
    import torch_tensorrt

    allow_tf32(False)
    program = exported(network, inputs, LARGEST_BATCH)
    shapes = [
        torch_tensorrt.Input(
            min_shape=(1, *each.shape[1:]),
            opt_shape=(1, *each.shape[1:]),
            max_shape=(LARGEST_BATCH, *each.shape[1:]),
            dtype=each.dtype,
        )
        for each in inputs
    ]
    arguments = compile_arguments(version_of(version("torch-tensorrt")), Wish("fp32"), torch.float32)
    compiled = torch_tensorrt.dynamo.compile(program, arg_inputs=shapes, **arguments)
    # Traced anew with example inputs, versions before 2.14 would fix the batch to theirs.
    torch_tensorrt.save(compiled, str(path), output_format="exported_program", retrace=False)
    _beside(path).write_text(json.dumps(metadata), encoding="utf-8")


def run_tensorrt(path: Path, batches: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """What the written engines give of batches."""
    import torch_tensorrt

    module = torch_tensorrt.load(str(path)).module()
    with torch.inference_mode():
        return [module(*batch) for batch in batches]


def tensorrt_metadata(path: Path) -> dict[str, Any]:
    """The metadata beside the written engines."""
    found: dict[str, Any] = json.loads(_beside(path).read_text(encoding="utf-8"))
    return found


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")
