"""Cycles of a training, and the optimizer and schedule that each begins with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from cxrbench.specs import Cycle, TrainingSpec

Schedule = LRScheduler | ReduceLROnPlateau


@dataclass(frozen=True)
class CyclePlan:
    """One cycle: how many epochs at most, and the learning rate at its start."""

    epochs: int
    learning_rate: float


def cycles_of(spec: TrainingSpec) -> tuple[CyclePlan, ...]:
    """The cycles of a training; one where none are named."""
    return tuple(
        CyclePlan(cycle.epochs or spec.epochs, cycle.learning_rate or spec.learning_rate)
        for cycle in spec.cycles or (Cycle(),)
    )


def most_epochs(spec: TrainingSpec) -> int:
    """Epochs of all cycles together, if none ends early."""
    return sum(cycle.epochs for cycle in cycles_of(spec))


def optimizer_of(network: nn.Module, spec: TrainingSpec, learning_rate: float) -> Optimizer:
    """A fresh optimizer of the parameters that are trained."""
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    # A fused step after an overflow of fp16 skips itself on the device, where nobody could tell that it did.
    fused = spec.precision != "fp16"
    return kind(trainable, lr=learning_rate, weight_decay=spec.weight_decay, fused=fused)


def schedule_of(optimizer: Optimizer, spec: TrainingSpec, steps: int) -> Schedule:
    """A fresh schedule over a cycle of ``steps`` steps, from the optimizer's learning rate."""
    # accelerate puts the optimizer's own step method back after each step that fp16's scaler may skip, at
    # which torch supposes that nobody steps the optimizer.
    warnings.filterwarnings("ignore", message="Seems like `optimizer.step\\(\\)` has been overridden")
    if spec.schedule == "plateau":
        # By default as torch does it: lower is what is lower by 1e-4 of the value.
        relative = spec.plateau_min_delta is None
        return ReduceLROnPlateau(
            optimizer,
            factor=spec.plateau_factor,
            patience=spec.plateau_patience,
            threshold=1e-4 if spec.plateau_min_delta is None else spec.plateau_min_delta,
            threshold_mode="rel" if relative else "abs",
            min_lr=spec.min_lr,
        )
    if spec.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps, eta_min=spec.min_lr)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
