"""Images a second that ``densenet_fpn`` trains on, and what it learns, against a plain fp32 loop.

Both train on one device, on the same images of the embedded data set, from the same weights, and are judged
by the best macro AUC on val after any of as many epochs. The plain loop has all its images ready on the
device, as normalised floats, and augments nothing; cxrbench's step begins at stored bytes: reading a batch,
moving it, one augmenting warp, forward, backward, Adam. On CUDA there are two plain loops, without TF32 and
with what TF32 torch allows by default. For speed the ways take turns, so that whatever else the machine does
falls on all of them, and medians are compared. The input's share is what a step takes longer than one on a
batch that lies on the device already::

    python benchmarks/training_gpu.py --compile
    python benchmarks/training_gpu.py --device cpu --images 200 --epochs 1 --rounds 3
"""

from __future__ import annotations

import argparse
import csv
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cxrbench.augmentations.affine import Affine
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.datasets.phantom import Phantom
from cxrbench.losses.bce import MaskedBce
from cxrbench.pixels.images import stored_side
from cxrbench.reporter import Reporter
from cxrbench.specs import TrainingSpec
from cxrbench.statistics.averages import macro
from cxrbench.statistics.ranking import auc
from cxrbench.training.batches import Batch, Rows, SeededOrder, loader
from cxrbench.training.devices import accelerator_for, best_precision, device_of, name_of, true_fp32
from cxrbench.training.loop import train
from cxrbench.training.schedule import cycles_of
from cxrbench.training.setting import Training, precision_of
from cxrbench.training.step import Step
from cxrbench.training.views import network_inputs

BACKBONE = DensenetFpn()
CROP = 0.9
LEARNING_RATE = 1e-3


class Drawn:
    """Images of the embedded data set, drawn at the size that a training stores; a fifth of them is val."""

    def __init__(self, images: int, image_size: int) -> None:
        dataset = Phantom(train_val=images, test=20)
        collection = dataset.read(None)
        ids = collection.manifest.index[collection.manifest["official"] == "train_val"]
        side = stored_side(image_size, CROP)
        drawn = np.stack([dataset.pixels(None, image_id, side) for image_id in ids])
        everything = Rows(
            ids,
            np.full((len(ids), 3), 0.5, np.float32),
            drawn,
            np.arange(len(ids)),
            collection.labels.loc[ids].to_numpy(np.float64),
        )
        # No patient is in both.
        patients = collection.manifest.loc[ids, "patient_id"]
        is_val = patients.isin(patients.unique()[::5]).to_numpy()
        self.task, self.image_size = collection.task, image_size
        self.train, self.val = _part(everything, ~is_val), _part(everything, is_val)

    def network(self) -> nn.Module:
        """The same weights each time."""
        torch.manual_seed(0)
        return BACKBONE.build(len(self.task.classes), self.image_size, False)

    def training(self, spec: TrainingSpec) -> Training:
        """A training of it from the start."""
        return Training(
            network=self.network(),
            backbone=BACKBONE,
            loss=MaskedBce(),
            augmentation=Affine(),
            task=self.task,
            train=self.train,
            val=self.val,
            image_size=self.image_size,
            crop=CROP,
            seed=0,
            spec=spec,
        )


def _part(rows: Rows, chosen: np.ndarray) -> Rows:
    return replace(
        rows,
        image_ids=rows.image_ids[chosen],
        patient=rows.patient[chosen],
        positions=rows.positions[chosen],
        labels=rows.known_labels[chosen],
    )


class Plain:
    """A loop as one writes it first: fp32, contiguous, Adam as it comes; TF32 as torch has it, or none."""

    def __init__(self, data: Drawn, batch_size: int, device: torch.device, tf32: bool) -> None:
        self._network = data.network().to(device)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=LEARNING_RATE)
        self._data, self._batch_size, self._device, self._tf32 = data, batch_size, device, tf32
        self._train, self._val = self._ready(data.train), self._ready(data.val)
        self._endless = (part for _ in count() for part in self._batches())

    def _ready(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        (batch,) = loader(rows, len(rows))
        image, patient = network_inputs(BACKBONE, batch, self._data.image_size, CROP, False)
        return image.to(self._device), patient.to(self._device), batch["labels"].to(self._device)

    def _batches(self) -> Iterator[Tensor]:
        order = torch.randperm(len(self._data.train), device=self._device)
        return iter(order.split(self._batch_size)[: max(1, len(order) // self._batch_size)])

    def _step_on(self, chosen: Tensor) -> None:
        images, patients, labels = (each[chosen] for each in self._train)
        loss = F.binary_cross_entropy_with_logits(self._network(images, patients), labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def step(self) -> None:
        """A whole step."""
        self._network.train()
        with nullcontext() if self._tf32 else true_fp32():
            self._step_on(next(self._endless))

    def learn(self, epochs: int) -> float:
        """The best macro AUC on val after any of these epochs."""
        found = []
        images, patients, labels = self._val
        for _ in range(epochs):
            for _ in self._batches():
                self.step()
            self._network.eval()
            with torch.inference_mode(), true_fp32():
                parts = zip(images.split(self._batch_size), patients.split(self._batch_size), strict=True)
                logits = torch.cat([self._network(*part) for part in parts])
            found.append(macro(auc(logits.double().cpu().numpy(), labels.double().cpu().numpy())))
        return max(found)


class Ours:
    """The training loop's own step and input, on stored bytes."""

    def __init__(self, data: Drawn, spec: TrainingSpec, device: torch.device) -> None:
        self._data, self._spec, self._device = data, spec, device
        self._training = data.training(spec)
        self._step = Step(self._training, accelerator_for(precision_of(spec), device))
        self._step.begin_cycle(*cycles_of(spec))
        self._step.begin_epoch()
        self._batches = self._endless()
        self._resident = self._moved()

    def _endless(self) -> Iterator[Batch]:
        rows = self._training.train
        order = SeededOrder(len(rows), 0)
        for order.epoch in count(1):
            yield from loader(rows, self._spec.images_a_step, order, pin=self._device.type == "cuda")

    def _moved(self) -> tuple[Batch, Tensor]:
        batch = next(self._batches)
        draws = torch.rand(len(batch["row"]), self._training.augmentation.draws)
        if self._device.type == "cuda":
            draws = draws.pin_memory()
        moved = {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}
        return moved, draws.to(self._device, non_blocking=True)

    def step(self) -> None:
        """A whole step."""
        self._step.take(self._training.loss, *self._moved())

    def resident(self) -> None:
        """A step on a batch that lies on the device."""
        self._step.take(self._training.loss, *self._resident)

    def learn(self) -> float:
        """The best macro AUC on val after any epoch, of the training itself."""
        with tempfile.TemporaryDirectory() as folder:
            train(self._data.training(self._spec), Path(folder), self._device, Reporter(quiet=True))
            return float(pd.read_csv(Path(folder) / "epochs.csv")["macro_auc"].max())


def seconds_of(steps: int, way: Callable[[], None], device: torch.device) -> float:
    """Seconds a step, over so many, the device's work included."""
    started = time.perf_counter()
    for _ in range(steps):
        way()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / steps


def medians_of(
    ways: dict[str, Callable[[], None]], steps: int, rounds: int, device: torch.device
) -> dict[str, float]:
    """Median seconds a step of each way, measured in turns after two rounds to warm up."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(-2, rounds):
        for way, step in ways.items():
            measured = seconds_of(steps, step, device)
            if round_ >= 0:
                seconds[way].append(measured)
    return {way: statistics.median(values) for way, values in seconds.items()}


def measure(
    data: Drawn, batch_size: int, device: torch.device, epochs: int, steps: int, rounds: int, compiles: bool
) -> list[dict[str, object]]:
    """A row for each way: images a second, against the plain loop, the input's share, macro AUC on val."""
    spec = TrainingSpec(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=LEARNING_RATE,
        schedule="constant",
        precision=best_precision(device),
    )
    tf32_of = {"plain fp32 loop": False}
    if device.type == "cuda":
        tf32_of["plain fp32 loop, TF32"] = True
    plain = {way: Plain(data, batch_size, device, tf32) for way, tf32 in tf32_of.items()}
    ours = {f"cxrbench, {spec.precision}": Ours(data, spec, device)}
    if compiles:
        compiled = spec.model_copy(update={"compile": True})
        ours[f"cxrbench, {spec.precision}, compiled"] = Ours(data, compiled, device)
    ways = {way: loop.step for way, loop in (plain | ours).items()}
    resident = {f"{way}, resident batch": loop.resident for way, loop in ours.items()}
    medians = medians_of(ways | resident, steps, rounds, device)
    first = medians["plain fp32 loop"]
    rows = []
    for way in ways:
        alone = medians.get(f"{way}, resident batch")
        if way in ours:
            learnt = ours[way].learn()
        else:
            learnt = Plain(data, batch_size, device, tf32_of[way]).learn(epochs)
        rows.append(
            {
                "device": name_of(device),
                "torch": torch.__version__,
                "image_size": data.image_size,
                "batch_size": batch_size,
                "way": way,
                "images_per_second": round(batch_size / medians[way], 1),
                "against_plain": round(first / medians[way], 2),
                "input_share": "" if alone is None else round(max(0.0, 1 - alone / medians[way]), 3),
                "train_images": len(data.train),
                "epochs": epochs,
                "val_macro_auc": round(learnt, 4),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Training of densenet_fpn against a plain fp32 loop.")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--images", type=int, help="of train and val; default: 2000, on a CPU 400")
    parser.add_argument("--epochs", type=int, help="default: 10, on a CPU 2")
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="default: 224, on a CPU 64")
    parser.add_argument("--batch-size", type=int, metavar="IMAGES", help="default: 64, on a CPU 16")
    parser.add_argument("--steps", type=int, help="a round's; default: 20, on a CPU 1")
    parser.add_argument("--rounds", type=int, default=7, help="measured, after two to warm up")
    parser.add_argument("--compile", action="store_true", help="also compiled by Inductor")
    parser.add_argument("--results", type=Path, default=Path("results/reference"), metavar="FOLDER")
    given = parser.parse_args()
    device = device_of(given.device)
    usual = (2000, 10, 224, 64, 20) if device.type == "cuda" else (400, 2, 64, 16, 1)
    asked = (given.images, given.epochs, given.image_size, given.batch_size, given.steps)
    images, epochs, image_size, batch_size, steps = (a or u for a, u in zip(asked, usual, strict=True))

    rows = measure(Drawn(images, image_size), batch_size, device, epochs, steps, given.rounds, given.compile)
    print(f"densenet_fpn, {image_size} px, batch {batch_size}, {name_of(device)}, torch {torch.__version__}")
    for row in rows:
        print(
            f"{row['way']:34}{row['images_per_second']:>10} images/s{row['against_plain']:>8} × plain"
            f"   input {row['input_share'] or '-':5}   val macro AUC {row['val_macro_auc']}"
        )
    given.results.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", name_of(device).lower()).strip("-")
    path = given.results / f"training-{name}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
