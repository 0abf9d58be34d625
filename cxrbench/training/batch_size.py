"""How many images of a training fit on its device at once, found by trying and remembered."""

from __future__ import annotations

from pathlib import Path

import torch

from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json, write_json
from cxrbench.training.batches import Batch, loader
from cxrbench.training.devices import StepTooLargeError, accelerator_for, in_one_sentence, true_fp32
from cxrbench.training.schedule import CyclePlan, cycles_of
from cxrbench.training.setting import Training, precision_of
from cxrbench.training.step import Step
from cxrbench.training.trainable import frozen_modules

_SPARE = 10
"""A tenth of what a step takes must stay free beside it, for what a long training takes more."""


def largest_share(training: Training, most: int, device: torch.device) -> int:
    """The largest power of two, from 2 to ``most``, of whose images a training step fits.

    Steps of growing size are taken, on copies of the first training row, until one does not fit. The
    training is spoilt by that: it is made for this alone. Other processes have no part in it.

    Raises:
        CxrbenchError: not even two fit, or a step cannot be taken at all.
    """
    found, size = 0, 2
    with true_fp32(), in_one_sentence(training.spec, training.image_size):
        try:
            step = Step(training, accelerator_for(precision_of(training.spec), device), alone=True)
            step.begin_cycle(_heaviest_cycle(training))
            step.begin_epoch()
            one = {name: tensor.to(device) for name, tensor in next(iter(loader(training.train, 1))).items()}
            while size <= max(2, most):
                _take_twice(step, one, size, device)
                found, size = size, size * 2
                _free(device)
        except (torch.OutOfMemoryError, StepTooLargeError):
            if not found:
                raise
    # The caller still has the network: it is to take no memory of the device.
    del step
    training.network.zero_grad()
    training.network.cpu()
    _free(device)
    return found


def _heaviest_cycle(training: Training) -> CyclePlan:
    """The one that freezes least."""
    return min(
        cycles_of(training.spec),
        key=lambda cycle: len(frozen_modules(training.network, cycle.trainable)),
    )


def _take_twice(step: Step, one: Batch, size: int, device: torch.device) -> None:
    """The first step makes the optimizer's state; the second has it beside it, and some memory to spare."""
    training = step.training
    batch = {name: tensor.repeat(size, *[1] * (tensor.ndim - 1)) for name, tensor in one.items()}
    draws = torch.full((size, training.augmentation.draws), 0.5, device=device)
    step.take(training.loss, batch, draws)
    spare = None
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        spare = torch.empty(
            torch.cuda.max_memory_allocated(device) // _SPARE, dtype=torch.uint8, device=device
        )
    step.take(training.loss, batch, draws)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    del spare


def _free(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def remembered(path: Path, key: str) -> int | None:
    """The batch size that was found for ``key`` before, if any.

    Raises:
        CxrbenchError: the file is damaged.
    """
    try:
        sizes: dict[str, int] = read_json(path) if path.exists() else {}
        return sizes.get(key)
    except (ValueError, AttributeError) as error:
        raise CxrbenchError(f"{path} is damaged; remove it, and batch sizes are tried again.") from error


def remember(path: Path, key: str, size: int) -> None:
    """Keep a batch size beside those found before; the caller keeps others from writing meanwhile."""
    sizes = read_json(path) if path.exists() else {}
    write_json(path, {**sizes, key: size})
