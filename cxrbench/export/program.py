"""A network as a program of ``torch.export``, whose batch may have any size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cxrbench.errors import CxrbenchError
from cxrbench.export.onnx import AnyInputs

_EXTRA = "cxrbench.json"


def exported(network: nn.Module, inputs: Sequence[Tensor], largest: int | None = None) -> Any:
    """The program of a network in evaluation mode.

    Args:
        network: on the inputs' device.
        inputs: a batch of what its ``forward`` takes.
        largest: of batches; None for any.

    Raises:
        CxrbenchError: the network cannot be exported.
    """
    # A single image would be taken for a constant size.
    two = tuple(torch.cat([each, each])[:2].contiguous() for each in inputs)
    batch = torch.export.Dim("batch", min=1, max=largest)
    try:
        return torch.export.export(
            AnyInputs(network).eval(), two, dynamic_shapes=(tuple({0: batch} for _ in two),)
        )
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CxrbenchError(
            f"The network cannot be exported by torch.export: {reason.rstrip('.')}."
        ) from error


def write_program(
    network: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    path: Path,
    metadata: Mapping[str, Any],
) -> None:
    """Write ``path`` (``.pt2``) with the metadata as its extra file ``cxrbench.json``.

    Raises:
        CxrbenchError: the network cannot be exported.
    """
    torch.export.save(exported(network, inputs), path, extra_files={_EXTRA: json.dumps(metadata)})


def run_program(path: Path, batches: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """What the written program gives of batches."""
    module = torch.export.load(path).module()
    with torch.inference_mode():
        return [module(*batch) for batch in batches]


def program_metadata(path: Path) -> dict[str, Any]:
    """The metadata of the written program."""
    extra: dict[str, Any] = {_EXTRA: ""}
    torch.export.load(path, extra_files=extra)
    found: dict[str, Any] = json.loads(extra[_EXTRA])
    return found
