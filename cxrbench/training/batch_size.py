"""How many images of a training fit on its device at once."""

from __future__ import annotations

import torch

from cxrbench.errors import CxrbenchError
from cxrbench.training.batches import loader
from cxrbench.training.devices import StepTooLargeError, accelerator_for
from cxrbench.training.loop import Step, Training, precision_of


def largest_share(training: Training, most: int, device: torch.device) -> int:
    """The largest power of two, from 2 to ``most``, of whose images a training step fits.

    Steps of growing size are taken, on copies of the first training row, until one does not fit. The
    training is spoilt by that: it is made for this alone. Other processes have no part in it.

    Raises:
        CxrbenchError: not even two fit.
    """
    step = Step(training, accelerator_for(precision_of(training.spec), device), alone=True)
    step.begin_epoch()
    one = {name: tensor.to(device) for name, tensor in next(iter(loader(training.train, 1))).items()}
    found, size = 0, 2
    while size <= max(2, most):
        try:
            batch = {name: tensor.repeat(size, *[1] * (tensor.ndim - 1)) for name, tensor in one.items()}
            step.take(
                training.loss, batch, torch.full((size, training.augmentation.draws), 0.5, device=device)
            )
            if device.type == "cuda":
                torch.cuda.synchronize(device)
        except (torch.OutOfMemoryError, StepTooLargeError):
            break
        found, size = size, size * 2
    del step
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if not found:
        raise CxrbenchError(
            f"Not even two images of {training.image_size} px a step fit on the device; give a smaller "
            "--image-size or --device cpu."
        )
    return found
