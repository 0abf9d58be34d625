"""One step of training: forward, backward, and what it changes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from cxrbench.training.batches import Batch
from cxrbench.training.ema import average_of
from cxrbench.training.processes import current
from cxrbench.training.schedule import CyclePlan, optimizer_of
from cxrbench.training.setting import Training
from cxrbench.training.trainable import freeze, frozen_modules
from cxrbench.training.views import network_inputs

if TYPE_CHECKING:
    from accelerate import Accelerator

    from cxrbench.interfaces import LossFunction


class _Stepped(nn.Module):
    """The network as steps see it: into its ``forward``, not the network's own, accelerate puts autocast."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.network(*inputs)
        return logits


class Step:
    """The network with all that a step changes, on its device and, with several processes, joined to theirs.

    Attributes:
        plain: the network itself: what is validated and saved.
        optimizer: accelerate's, which knows of fp16's scaler; of the cycle that was begun.
        average: the averaged weights, where there are any.
    """

    optimizer: Any

    def __init__(self, training: Training, accelerator: Accelerator, *, alone: bool = False) -> None:
        """Prepare a training's network for its cycles; ``alone`` leaves other processes out of it."""
        self.training, self.accelerator = training, accelerator
        spec = training.spec
        self.plain = training.network.to(accelerator.device)
        if spec.channels_last:
            self.plain = self.plain.to(memory_format=torch.channels_last)
        self.average = average_of(self.plain, spec.ema)
        self._learnt = [parameter for parameter in self.plain.parameters() if parameter.requires_grad]
        self._frozen: list[nn.Module] = []
        self._run: Any = torch.compile(self.plain) if spec.compile else self.plain
        self._network: Any = None
        self._alone = alone
        masked = bool(np.isnan(training.train.known_labels).any())
        self._weighs_shares = masked and not alone and current().count > 1

    def begin_cycle(self, cycle: CyclePlan) -> None:
        """A fresh optimizer of what the cycle trains; the rest is frozen.

        Joined to other processes anew, which must know what has a gradient.
        """
        spec, accelerator = self.training.spec, self.accelerator
        self._network = self.optimizer = None
        accelerator.free_memory()
        self._frozen = frozen_modules(self.plain, cycle.trainable)
        freeze(self._learnt, self._frozen)
        self._network = accelerator.prepare_model(_Stepped(self._run), evaluation_mode=self._alone)
        self.optimizer = accelerator.prepare_optimizer(optimizer_of(self.plain, spec, cycle.learning_rate))

    def begin_epoch(self) -> None:
        """Dropout and batch normalisation as in training; what is frozen, as in evaluation."""
        self._network.train()
        for module in self._frozen:
            module.training = False

    def take(self, loss_of: LossFunction, batch: Batch, draws: Tensor) -> Tensor:
        """One step on a batch that lies on the device: its loss, not waited for."""
        training, spec = self.training, self.training.spec
        view = partial(training.augmentation.view, draws=draws)
        inputs = network_inputs(
            training.backbone, batch, training.image_size, training.crop, spec.channels_last, view
        )
        loss = loss_of(self._network(*inputs), batch["labels"])
        if self._weighs_shares:
            loss = loss * current().weight_of(batch["labels"])
        self.accelerator.backward(loss)
        if spec.clip_norm:
            # Of the gradients themselves: accelerate takes fp16's scale from them first.
            self.accelerator.clip_grad_norm_(self.plain.parameters(), spec.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None and not self.optimizer.step_was_skipped:
            self.average.update(self.plain)
        return loss.detach()
