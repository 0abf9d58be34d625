"""Images a second that ``densenet_fpn`` trains on, against a plain fp32 loop on the same device.

The plain loop has its images ready on the device, as floats; cxrbench's step begins at stored bytes:
reading a batch, moving it, one augmenting warp, forward, backward, Adam. The ways take turns, so that
whatever else the machine does falls on all of them, and medians are compared. The input alone is timed as
well::

    python benchmarks/training_gpu.py --compile
    python benchmarks/training_gpu.py --device cpu --image-size 64 --batch-size 16 --rounds 3
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F

from cxrbench.augmentations.affine import Affine
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.losses.bce import MaskedBce
from cxrbench.specs import TrainingSpec
from cxrbench.task import Task
from cxrbench.training.batches import Batch, Rows, SeededOrder, loader
from cxrbench.training.devices import accelerator_for, best_precision, device_of
from cxrbench.training.images import stored_side
from cxrbench.training.loop import Step, Training, precision_of
from cxrbench.training.views import network_inputs

FINDINGS = tuple(f"finding {number}" for number in range(14))
BACKBONE = DensenetFpn()


def rows(images: int, side: int) -> Rows:
    rng = np.random.default_rng(0)
    return Rows(
        pd.Index([f"image-{number:05d}" for number in range(images)]),
        rng.random((images, 3), np.float32),
        rng.integers(0, 256, (images, side, side), np.uint8),
        np.arange(images),
        (rng.random((images, len(FINDINGS))) < 0.1).astype(float),
    )


def plain(image_size: int, batch_size: int, device: torch.device) -> Callable[[], None]:
    """A step as one writes it first: fp32, contiguous, Adam as it comes."""
    torch.manual_seed(0)
    network = BACKBONE.build(len(FINDINGS), image_size, False).train().to(device)
    images = torch.rand(batch_size, 3, image_size, image_size, device=device)
    patients = torch.rand(batch_size, 3, device=device)
    labels = (torch.rand(batch_size, len(FINDINGS), device=device) < 0.1).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        loss = F.binary_cross_entropy_with_logits(network(images, patients), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


class Ours:
    """The training loop's own step and input, on stored bytes."""

    def __init__(self, image_size: int, batch_size: int, spec: TrainingSpec, device: torch.device) -> None:
        torch.manual_seed(0)
        data = rows(4 * batch_size, stored_side(image_size))
        network = BACKBONE.build(len(FINDINGS), image_size, False)
        self.training = Training(
            network,
            BACKBONE,
            MaskedBce(),
            Affine(),
            Task("multilabel", FINDINGS),
            data,
            data,
            image_size,
            0,
            spec,
        )
        self._step = Step(self.training, accelerator_for(precision_of(spec), device))
        self._step.begin_epoch()
        self._batches, self._device = self._endless(batch_size), device

    def _endless(self, batch_size: int) -> Iterator[Batch]:
        order = SeededOrder(len(self.training.train), 0)
        for order.epoch in count(1):
            yield from loader(self.training.train, batch_size, order, pin=torch.cuda.is_available())

    def _moved(self) -> tuple[Batch, torch.Tensor]:
        batch = next(self._batches)
        draws = torch.rand(len(batch["row"]), self.training.augmentation.draws).to(self._device)
        return {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}, draws

    def input(self) -> None:
        """What comes before the network: read, move, augment, normalise."""
        batch, draws = self._moved()
        view = partial(self.training.augmentation.view, draws=draws)
        network_inputs(BACKBONE, batch, self.training.image_size, True, view)

    def step(self) -> None:
        """A whole step."""
        batch, draws = self._moved()
        self._step.take(self.training.loss, batch, draws)


def seconds_of(steps: int, way: Callable[[], None], device: torch.device) -> float:
    """Seconds a step, over so many, the device's work included."""
    started = time.perf_counter()
    for _ in range(steps):
        way()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Training of densenet_fpn against a plain fp32 loop.")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="default: 224, on a CPU 64")
    parser.add_argument("--batch-size", type=int, metavar="IMAGES", help="default: 64, on a CPU 16")
    parser.add_argument("--steps", type=int, help="a round's; default: 20, on a CPU 1")
    parser.add_argument("--rounds", type=int, default=7, help="measured, after two to warm up")
    parser.add_argument("--compile", action="store_true", help="also compiled by Inductor")
    parser.add_argument("--results", type=Path, default=Path("results/reference"), metavar="FOLDER")
    given = parser.parse_args()
    device = device_of(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    image_size, batch_size, steps = (224, 64, 20) if device.type == "cuda" else (64, 16, 1)
    image_size, batch_size = given.image_size or image_size, given.batch_size or batch_size
    steps = given.steps or steps

    spec = TrainingSpec(batch_size=batch_size, precision=best_precision(device))
    ours = Ours(image_size, batch_size, spec, device)
    ways = {
        "plain fp32 loop": plain(image_size, batch_size, device),
        "cxrbench's input alone": ours.input,
        f"cxrbench, {spec.precision}": ours.step,
    }
    if given.compile:
        compiled = spec.model_copy(update={"compile": True})
        ways[f"cxrbench, {spec.precision}, compiled"] = Ours(image_size, batch_size, compiled, device).step
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(-2, given.rounds):
        for way, step in ways.items():
            measured = seconds_of(steps, step, device)
            if round_ >= 0:
                seconds[way].append(measured)

    medians = {way: statistics.median(values) for way, values in seconds.items()}
    first, input_alone, *_ = medians.values()
    rows_ = [
        {
            "device": name,
            "torch": torch.__version__,
            "image_size": image_size,
            "batch_size": batch_size,
            "way": way,
            "images_per_second": round(batch_size / median, 1),
            "against_plain": round(first / median, 2),
            "input_share": "" if median == first else round(min(1.0, input_alone / median), 3),
        }
        for way, median in medians.items()
    ]
    print(f"densenet_fpn, {image_size} px, batch {batch_size}, {name}, torch {torch.__version__}")
    for row in rows_:
        print(
            f"{row['way']:34}{row['images_per_second']:>10} images/s{row['against_plain']:>8} × plain"
            f"   input {row['input_share'] or '-'}"
        )
    given.results.mkdir(parents=True, exist_ok=True)
    path = given.results / f"training-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows_[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows_)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
