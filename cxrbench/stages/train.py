"""Train: a network from its initial weights to the checkpoint that is best on val."""

from __future__ import annotations

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
from cxrbench.specs import RunSpec
from cxrbench.task import Task
from cxrbench.training.batch_size import largest_share
from cxrbench.training.batches import Rows
from cxrbench.training.checkpoint import TrainingState
from cxrbench.training.devices import name_of
from cxrbench.training.loop import Training, train
from cxrbench.training.processes import current
from cxrbench.training.randomness import derive
from cxrbench.training.trainable import require_trainable

VERSION = "4"
"""Changes when the same inputs train to another network."""


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
        reporter.say(load_weights(network, Path(spec.weights)))
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
) -> bool:
    """Train ``network`` on ``rows["train"]``, selecting on ``rows["val"]``, as :func:`train` says.

    ``losses`` are the run's and then each cycle's. Other processes of this launch take part.

    Returns:
        False where a killed process had finished the training in this folder already.
    """
    finished = folder / "training.json"
    trains = not finished.exists()
    if trains:
        current().require_rows(len(rows["train"]))
        # First of all: what cannot be built must not leave the others waiting for a training.
        training = _training(spec, backbone, losses, augmentation, task, rows, network)
        current().summon(Invitation.to(folder, spec, task, rows, device))
        train(training, folder, device, reporter)
        write_json(finished, _facts(spec, network, device))
    # Last of all: killed before this, the training is known to be finished and not repeated.
    TrainingState(folder).clear()
    return trains


@dataclass(frozen=True)
class Invitation:
    """What another process needs to take part in a training, small enough to be sent.

    Attributes:
        folder: where the training's state lies.
        spec: of the run.
        task: the classes.
        rows: of train and val, without pixels.
        pixels: the file of all stored images, which the other process maps into memory itself, and its
            shape ``(m, side, side)``; None where the network takes none.
        device: ``cpu`` or ``cuda``; each process has its own.
    """

    folder: Path
    spec: RunSpec
    task: Task
    rows: dict[Role, Rows]
    pixels: tuple[Path, tuple[int, ...]] | None
    device: str

    @classmethod
    def to(
        cls, folder: Path, spec: RunSpec, task: Task, rows: dict[Role, Rows], device: torch.device
    ) -> Invitation:
        """An invitation to :func:`run` with these arguments."""
        stored = rows["train"].pixels
        pixels = None
        if isinstance(stored, np.memmap):
            pixels = Path(str(stored.filename)).absolute(), stored.shape
        sent = {role: replace(each, pixels=None) for role, each in rows.items()}
        return cls(folder.absolute(), spec, task, sent, pixels, device.type)


def take_part(invitation: Invitation) -> None:
    """Take part in the training that the leading process summons to; nothing is written or said.

    Raises:
        CxrbenchError: as :func:`train`.
    """
    spec, task, registry = invitation.spec, invitation.task, installed().registry
    reporter = Reporter(quiet=True)

    stored = None
    if invitation.pixels is not None:
        path, shape = invitation.pixels
        stored = np.memmap(path, np.uint8, mode="r", shape=shape)
    rows = {role: replace(each, pixels=stored) for role, each in invitation.rows.items()}
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
    return Training(
        network=network,
        backbone=backbone,
        loss=loss,
        augmentation=augmentation,
        task=task,
        train=rows["train"],
        val=rows["val"],
        image_size=spec.image_size,
        crop=spec.crop,
        seed=spec.seed,
        spec=spec.training,
        cycle_losses=tuple(of_cycles),
    )


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
