"""Train: a network from its initial weights to the checkpoint that is best on val."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from cxrbench.backbones.weights import load_weights
from cxrbench.files import write_json
from cxrbench.interfaces import Augmentation, Backbone, Loss
from cxrbench.reporter import Reporter
from cxrbench.roles import Role
from cxrbench.specs import RunSpec
from cxrbench.task import Task
from cxrbench.training.batches import Rows
from cxrbench.training.checkpoint import TrainingState
from cxrbench.training.loop import Training, train
from cxrbench.training.randomness import derive

VERSION = "2"
"""Changes when the same inputs train to another network."""


def initial_network(spec: RunSpec, backbone: Backbone, task: Task, reporter: Reporter) -> nn.Module:
    """The network as training starts: random numbers from the seed, then the weights asked for.

    Raises:
        CxrbenchError: weights cannot be had or do not fit.
    """
    torch.manual_seed(derive("init", spec.seed))
    network = backbone.build(len(task.classes), spec.image_size, spec.weights == "imagenet")
    if spec.weights not in ("none", "imagenet"):
        reporter.say(load_weights(network, Path(spec.weights)))
    return network


def run(
    folder: Path,
    spec: RunSpec,
    backbone: Backbone,
    loss: Loss,
    augmentation: Augmentation,
    task: Task,
    rows: dict[Role, Rows],
    network: nn.Module,
    device: torch.device,
    reporter: Reporter,
) -> bool:
    """Train ``network`` on ``rows["train"]``, selecting on ``rows["val"]``, as :func:`train` says.

    Returns:
        False where a killed process had finished the training in this folder already.
    """
    finished = folder / "training.json"
    trains = not finished.exists()
    if trains:
        training = Training(
            network=network,
            backbone=backbone,
            loss=loss.build(rows["train"].known_labels, task.classes),
            augmentation=augmentation,
            task=task,
            train=rows["train"],
            val=rows["val"],
            image_size=spec.image_size,
            seed=spec.seed,
            spec=spec.training,
        )
        train(training, folder, device, reporter)
        write_json(finished, _facts(spec, network, device))
    # Last of all: killed before this, the training is known to be finished and not repeated.
    TrainingState(folder).clear()
    return trains


def _facts(spec: RunSpec, network: nn.Module, device: torch.device) -> dict[str, Any]:
    return {
        "spec": spec.model_dump(mode="json"),
        "parameters": sum(p.numel() for p in network.parameters()),
        "trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "device": device.type if device.type == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
    }
