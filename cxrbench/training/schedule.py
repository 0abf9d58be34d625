"""Cycles of a training, and the optimizer and schedule that each begins with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from cxrbench.heads.dense import Dense
from cxrbench.specs import Cycle, TrainingSpec

Schedule = LRScheduler | ReduceLROnPlateau

RMSPROP_RHO, RMSPROP_EPSILON = 0.9, 1e-7
"""As Keras has them, with which the trainings that use RMSprop were published; torch has 0.99 and 1e-8."""


@dataclass(frozen=True)
class CyclePlan:
    """One cycle: how many epochs at most, the learning rate at its start, and what it trains."""

    epochs: int
    learning_rate: float
    trainable: str


def cycles_of(spec: TrainingSpec) -> tuple[CyclePlan, ...]:
    """The cycles of a training; one where none are named."""
    return tuple(
        CyclePlan(
            cycle.epochs or spec.epochs,
            cycle.learning_rate or spec.learning_rate,
            cycle.trainable or spec.trainable,
        )
        for cycle in spec.cycles or (Cycle(),)
    )


def most_epochs(spec: TrainingSpec) -> int:
    """Epochs of all cycles together, if none ends early."""
    return sum(cycle.epochs for cycle in cycles_of(spec))


def optimizer_of(network: nn.Module, spec: TrainingSpec, learning_rate: float) -> Optimizer:
    """A fresh optimizer of the parameters that are trained.

    Weights of layers with an ``l2`` (:class:`cxrbench.heads.dense.Dense`) are a group of their own, whose
    weight decay is larger by ``2 l2``: ``2 l2 w`` is the gradient of ``l2 w²``.
    """
    penalties = {
        id(module.weight): float(module.l2)
        for module in network.modules()
        if isinstance(module, Dense) and module.l2
    }
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in trainable:
        groups.setdefault(penalties.get(id(parameter), 0.0), []).append(parameter)
    parameters = [
        {"params": group, "weight_decay": spec.weight_decay + 2 * l2} for l2, group in groups.items()
    ]
    if spec.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=learning_rate, alpha=RMSPROP_RHO, eps=RMSPROP_EPSILON)
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    # A fused step after an overflow of fp16 skips itself on the device, where nobody could tell that it did.
    return kind(parameters, lr=learning_rate, fused=spec.precision != "fp16")


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
