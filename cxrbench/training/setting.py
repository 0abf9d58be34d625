"""Everything that one training depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from cxrbench.interfaces import Augmentation, Backbone
from cxrbench.specs import TrainingSpec
from cxrbench.task import Task
from cxrbench.training.batches import Rows
from cxrbench.training.devices import Precision

if TYPE_CHECKING:
    from cxrbench.interfaces import LossFunction


@dataclass(frozen=True)
class Training:
    """Everything that one training depends on.

    Attributes:
        network: freshly built, with its initial weights, on the CPU.
        backbone: says what the network takes and how images are normalised.
        loss: of logits and labels; on val throughout, so that all epochs can be compared.
        augmentation: what training sees of an image.
        task: how logits become probabilities.
        train: rows with labels.
        val: rows with labels; only process 0 looks at them.
        image_size: side of the network's input.
        crop: share of an image's side that the network sees.
        seed: of order, augmentation and dropout.
        spec: all other settings; precision and batch size are not ``auto`` here.
        cycle_losses: what each of ``spec.cycles`` trains with; where there are none, ``loss``.
    """

    network: nn.Module
    backbone: Backbone
    loss: LossFunction
    augmentation: Augmentation
    task: Task
    train: Rows
    val: Rows
    image_size: int
    crop: float
    seed: int
    spec: TrainingSpec
    cycle_losses: tuple[LossFunction, ...] = ()


def precision_of(spec: TrainingSpec) -> Precision:
    """The number format, once it is resolved."""
    if spec.precision == "auto":
        raise ValueError("the precision is resolved before training")
    return spec.precision
