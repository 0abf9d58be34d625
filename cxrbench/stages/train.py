"""Train: a network from its initial weights to the checkpoint that is best on val."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from cxrbench.architecture import architecture_of
from cxrbench.backbones.weights import load_weights
from cxrbench.files import write_json
from cxrbench.interfaces import Augmentation, Backbone, Loss
from cxrbench.options import instantiate, make
from cxrbench.pixels.images import stored_side
from cxrbench.plugins import installed
from cxrbench.registry import Registry
from cxrbench.reporter import Reporter
from cxrbench.roles import Role
from cxrbench.specs import RunSpec, TrainingSpec
from cxrbench.stages import features
from cxrbench.task import Task
from cxrbench.training.batch_size import largest_share
from cxrbench.training.batches import Rows
from cxrbench.training.checkpoint import TrainingState, load_own_weights, save_weights
from cxrbench.training.devices import name_of
from cxrbench.training.loop import EpochEnded, Stop, never, train, unheard
from cxrbench.training.processes import current
from cxrbench.training.randomness import derive
from cxrbench.training.setting import Training
from cxrbench.training.trainable import freeze, frozen_modules, require_trainable

VERSION = "4"
"""Changes when the same inputs train to another network."""


class StoppedError(Exception):
    """A training was ended by who asked for it, and has left nothing."""


def initial_network(spec: RunSpec, backbone: Backbone, task: Task, reporter: Reporter) -> nn.Module:
    """The network as training starts: random numbers from the seed, then the weights asked for.

    Raises:
        UsageError: its parts do not go together, or what is to be trained is not there.
        CxrbenchError: weights cannot be had or do not fit.
    """
    torch.manual_seed(derive("init", spec.seed))
    network = backbone.build(len(task.classes), spec.image_size, spec.weights == "imagenet")
    require_trainable(network, spec.training)
    if spec.weights not in ("none", "imagenet"):
        reporter.say(load_weights(network, Path(spec.weights), whole=not spec.training.trains))
    return network


def cycle_losses(spec: RunSpec, registry: Registry) -> tuple[Loss, ...]:
    """The loss of each cycle: the run's, with the options that the cycle gives.

    Raises:
        UsageError: a cycle's options are unknown, mistyped or out of range.
    """
    component = registry.find("loss", spec.loss.name)
    return tuple(
        instantiate(component, {**spec.loss.options, **cycle.loss}) for cycle in spec.training.cycles
    )


def run(
    folder: Path,
    spec: RunSpec,
    backbone: Backbone,
    losses: Sequence[Loss],
    augmentation: Augmentation,
    task: Task,
    rows: dict[Role, Rows],
    network: nn.Module,
    device: torch.device,
    reporter: Reporter,
    stop: Stop = never,
    ended: EpochEnded = unheard,
) -> bool:
    """Train ``network`` on ``rows["train"]``, selecting on ``rows["val"]``, as :func:`train` says.

    Of rows with stored features its head alone is run; what is kept is the whole network either way.
    ``losses`` are the run's and then each cycle's. Other processes of this launch take part.

    Returns:
        False where a killed process had finished the training in this folder already.

    Raises:
        StoppedError: ``stop`` ended it; the folder is gone.
    """
    finished = folder / "training.json"
    trains = not finished.exists()
    if trains:
        current().require_rows(len(rows["train"]))
        # First of all: what cannot be built must not leave the others waiting for a training.
        training = _training(spec, backbone, losses, augmentation, task, rows, network)
        current().summon(Invitation.to(folder, spec, task, rows, device))
        if not train(training, folder, device, reporter, stop, ended):
            shutil.rmtree(folder)
            raise StoppedError
        if training.network is not network:
            freeze(list(network.parameters()), frozen_modules(network, "head"))
            load_own_weights(training.network, folder / "weights.safetensors")
            save_weights(network, folder / "weights.safetensors")
        write_json(finished, _facts(spec, network, device))
    # Last of all: killed before this, the training is known to be finished and not repeated.
    TrainingState(folder).clear()
    return trains


def keep(folder: Path, spec: RunSpec, network: nn.Module, device: torch.device) -> None:
    """Write ``network`` as it is, untrained, where :func:`run` writes a trained one."""
    save_weights(network, folder / "weights.safetensors")
    write_json(folder / "training.json", _facts(spec, network, device))


_MAPPED = ("pixels", "features", "mirrored_features")
"""Fields of rows that are files mapped into memory."""


@dataclass(frozen=True)
class Mapped:
    """An array in a file, which is opened without being read."""

    path: Path
    dtype: str
    offset: int
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: np.memmap[Any, Any]) -> Mapped:
        """Where the array lies."""
        return cls(Path(str(array.filename)).absolute(), array.dtype.str, array.offset, array.shape)

    def open(self) -> np.memmap[Any, Any]:
        """The array again."""
        return np.memmap(self.path, self.dtype, mode="r", offset=self.offset, shape=self.shape)


@dataclass(frozen=True)
class Invitation:
    """What another process needs to take part in a training, small enough to be sent.

    Attributes:
        folder: where the training's state lies.
        spec: of the run.
        task: the classes.
        rows: of train and val, without pixels or features.
        mapped: the files of these, which the other process maps into memory itself, by role and field.
        device: ``cpu`` or ``cuda``; each process has its own.
    """

    folder: Path
    spec: RunSpec
    task: Task
    rows: dict[Role, Rows]
    mapped: dict[tuple[Role, str], Mapped]
    device: str

    @classmethod
    def to(
        cls, folder: Path, spec: RunSpec, task: Task, rows: dict[Role, Rows], device: torch.device
    ) -> Invitation:
        """An invitation to :func:`run` with these arguments."""
        mapped = {
            (role, name): Mapped.of(array)
            for role, each in rows.items()
            for name in _MAPPED
            if isinstance(array := getattr(each, name), np.memmap)
        }
        sent = {
            role: replace(each, pixels=None, features=None, mirrored_features=None)
            for role, each in rows.items()
        }
        return cls(folder.absolute(), spec, task, sent, mapped, device.type)


def take_part(invitation: Invitation) -> None:
    """Take part in the training that the leading process summons to; nothing is written or said.

    Raises:
        CxrbenchError: as :func:`train`.
    """
    spec, task, registry = invitation.spec, invitation.task, installed().registry
    reporter = Reporter(quiet=True)

    rows = dict(invitation.rows)
    for (role, name), mapped in invitation.mapped.items():
        rows[role] = replace(rows[role], **{name: mapped.open()})  # type: ignore[arg-type]
    backbone = architecture_of(spec, registry)
    losses = make(spec.loss, "loss", registry), *cycle_losses(spec, registry)
    augmentation = make(spec.augmentation, "augmentation", registry)
    # Its weights come from the leading process as the training starts.
    network = backbone.build(len(task.classes), spec.image_size, False)
    training = _training(spec, backbone, losses, augmentation, task, rows, network)
    train(training, invitation.folder, torch.device(invitation.device), reporter)


def _training(
    spec: RunSpec,
    backbone: Backbone,
    losses: Sequence[Loss],
    augmentation: Augmentation,
    task: Task,
    rows: dict[Role, Rows],
    network: nn.Module,
) -> Training:
    loss, *of_cycles = (each.build(rows["train"].known_labels, task.classes) for each in losses)
    stored = rows["train"].features is not None
    return Training(
        network=features.head_of(network) if stored else network,
        backbone=backbone,
        loss=loss,
        augmentation=augmentation,
        task=task,
        train=rows["train"],
        val=rows["val"],
        image_size=spec.image_size,
        crop=spec.crop,
        seed=spec.seed,
        spec=_of_all(spec.training) if stored else spec.training,
        cycle_losses=tuple(of_cycles),
    )


def _of_all(spec: TrainingSpec) -> TrainingSpec:
    """The training, of a head by itself, which is trained whole."""
    cycles = tuple(cycle.model_copy(update={"trainable": None}) for cycle in spec.cycles)
    return spec.model_copy(update={"trainable": "all", "cycles": cycles})


def largest_batch_size(
    spec: RunSpec,
    backbone: Backbone,
    loss: Loss,
    augmentation: Augmentation,
    task: Task,
    images: int,
    device: torch.device,
) -> int:
    """The largest power of two up to ``images`` and 1024 of whose images a step fits; tried on black ones.

    With several processes each takes its share, on a device like this one.

    Raises:
        CxrbenchError: not even the smallest step fits, or a step cannot be taken at all.
    """
    processes = current().count
    side = stored_side(spec.image_size, spec.crop)
    black = Rows(
        pd.Index(["black"]),
        np.zeros((1, 3), np.float32),
        np.zeros((1, side, side), np.uint8),
        np.zeros(1, np.int64),
        np.zeros((1, len(task.classes))),
    )
    least = spec.training.model_copy(update={"batch_size": 2 * processes})
    network = backbone.build(len(task.classes), spec.image_size, False)
    training = _training(
        spec.model_copy(update={"training": least}),
        backbone,
        (loss,),
        augmentation,
        task,
        {"train": black, "val": black},
        network,
    )
    return largest_share(training, min(images, 1024) // processes, device) * processes


def _facts(spec: RunSpec, network: nn.Module, device: torch.device) -> dict[str, Any]:
    return {
        "spec": spec.model_dump(mode="json"),
        "parameters": sum(p.numel() for p in network.parameters()),
        "trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "device": name_of(device),
        "processes": current().count,
        "threads": torch.get_num_threads(),
    }
