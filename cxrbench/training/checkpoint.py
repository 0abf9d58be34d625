"""State of an interrupted training: tensors in safetensors, scalars in JSON, nothing that runs code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cxrbench.files import read_json, sync, write_json, write_text

OPTIMIZER_FILES = ("optimizer.safetensors", "optimizer.json")
"""What a state and a finished training call the files of :func:`save_optimizer`."""

_FOLDER = "state-{:06d}"
_UNFINISHED = ".tmp"


def save_weights(network: nn.Module, path: Path) -> None:
    """Write a network's parameters and buffers as safetensors."""
    # Copies, because safetensors refuses tensors that share memory, as tied weights do.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, path)


def load_own_weights(network: nn.Module, path: Path) -> None:
    """Read what :func:`save_weights` wrote into a network of the same shape."""
    network.load_state_dict(load_file(path))


def save_optimizer(state: Mapping[str, Any], tensors: Path, scalars: Path) -> None:
    """Write an optimizer's state: its tensors as ``PARAMETER.NAME``, the rest as JSON."""
    moments = {
        f"{parameter}.{name}": value.contiguous()
        for parameter, values in state["state"].items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }
    save_file(moments, tensors)
    write_json(scalars, {"param_groups": state["param_groups"]})


def load_optimizer(optimizer: Any, tensors: Path, scalars: Path) -> None:
    """Read what :func:`save_optimizer` wrote into an optimizer (or accelerate's wrapper of one).

    Files hold moments in plain layout. A fused step on the CPU walks parameter, gradient and moments
    through memory side by side, so each moment must get its parameter's layout again (channels last).
    """
    optimizer.load_state_dict(_read_optimizer(tensors, scalars))
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, requires_grad=False).copy_(value)


def _read_optimizer(tensors: Path, scalars: Path) -> dict[str, Any]:
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in load_file(tensors).items():
        parameter, _, name = key.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    return {"state": state, "param_groups": read_json(scalars)["param_groups"]}


class TrainingState:
    """The state after the last finished epoch, in a folder that always holds one whole state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def latest(self) -> Path | None:
        """The newest whole state, or None at the start."""
        states = [path.parent for path in self._folder.glob("state-*/state.json")]
        return max((path for path in states if path.suffix != _UNFINISHED), default=None)

    def save(
        self,
        epoch: int,
        network: nn.Module,
        best: Path,
        optimizer: Mapping[str, Any],
        scalars: Mapping[str, Any],
        average: nn.Module | None = None,
    ) -> None:
        """Keep the state after ``epoch``; the one before goes when this one is whole.

        Args:
            epoch: how many epochs are done.
            network: as it is now.
            best: file with the weights of the best epoch so far.
            optimizer: its ``state_dict()``.
            scalars: schedule, scaler, counters and log: JSON values, NaN and infinities too.
            average: the network of averaged weights, where they are averaged.
        """
        previous = self.latest()
        folder = self._folder / _FOLDER.format(epoch)
        building = folder.with_suffix(_UNFINISHED)
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        save_weights(network, building / "weights.safetensors")
        if average is not None:
            save_weights(average, building / "average.safetensors")
        save_optimizer(optimizer, *(building / name for name in OPTIMIZER_FILES))
        shutil.copyfile(best, building / "best.safetensors")
        # With NaN and Infinity as Python writes them: as null they would not come back.
        write_text(building / "state.json", json.dumps(scalars))
        for path in building.iterdir():
            sync(path)
        building.rename(folder)
        sync(self._folder)
        if previous is not None and previous != folder:
            shutil.rmtree(previous)

    def clear(self) -> None:
        """Remove all states, when training is done."""
        for path in self._folder.glob("state-*"):
            shutil.rmtree(path)
