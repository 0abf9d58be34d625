"""A network as an ONNX model whose batch may have any size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from cxrbench.errors import CxrbenchError

INSTALL = "pip install 'cxrbench[onnx]'"

OUTPUT = "logits"
"""What the model's output is called."""


def missing_exporter() -> str:
    """Why nothing can be exported here, and how to get it; empty where it can."""
    absent = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    return f"{' and '.join(absent)} not installed: {INSTALL}" if absent else ""


def export_onnx(
    network: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    path: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as ONNX, with the weights in the file; its output is called ``logits``.

    Args:
        network: in evaluation mode.
        inputs: a batch of what its ``forward`` takes.
        names: of the inputs, such as :attr:`cxrbench.interfaces.Backbone.inputs`.
        path: of the file; weights beyond 2 GB, which ONNX keeps apart, do not occur here.
        metadata: texts for the model's properties.

    Raises:
        CxrbenchError: the exporter is not installed, or cannot export this network.
    """
    if why := missing_exporter():
        raise CxrbenchError(f"A network cannot be exported to ONNX here: {why}.")
    # A single image would be taken for a constant size.
    two = tuple(torch.cat([each, each])[:2].contiguous() for each in inputs)
    batch = torch.export.Dim("batch")
    noise = io.StringIO()
    try:
        # The exporter prints its progress, and logs operators that it does not know of torchvision.
        with contextlib.redirect_stdout(noise), _silent("torch.onnx"), warnings.catch_warnings():
            # One batch size for all inputs is what is asked for, not a constraint to be warned of.
            warnings.filterwarnings("ignore", message="# The axis name: batch", category=UserWarning)
            program = torch.onnx.export(
                AnyInputs(network).eval(),
                two,
                dynamo=True,
                input_names=list(names),
                output_names=[OUTPUT],
                dynamic_shapes=(tuple({0: batch} for _ in two),),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = next((line for line in str(error.__cause__ or error).splitlines() if line.strip()), "")
        raise CxrbenchError(f"The network cannot be exported to ONNX: {reason.rstrip('.')}.") from error
    if program is None:
        raise CxrbenchError("The network cannot be exported to ONNX: the exporter gives no program.")
    program.model.metadata_props.update(metadata or {})
    program.save(path)


class AnyInputs(nn.Module):
    """A network whose ``forward`` has one signature, however the network calls its inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network gives."""
        outputs: Tensor = self.network(*inputs)
        return outputs


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
