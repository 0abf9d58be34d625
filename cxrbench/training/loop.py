"""The training loop: read it from top to bottom."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, ReduceLROnPlateau

from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json
from cxrbench.interfaces import Augmentation, Backbone
from cxrbench.reporter import Advance, Reporter
from cxrbench.specs import TrainingSpec
from cxrbench.statistics.averages import macro
from cxrbench.statistics.decisions import confusion, precision, recall
from cxrbench.statistics.operating import best_f1
from cxrbench.statistics.ranking import auc
from cxrbench.task import Task
from cxrbench.training.batches import Batch, Rows, SeededOrder, loader
from cxrbench.training.checkpoint import (
    TrainingState,
    load_optimizer,
    load_own_weights,
    save_optimizer,
    save_weights,
)
from cxrbench.training.devices import Precision, accelerator_for
from cxrbench.training.inference import logits_of
from cxrbench.training.log import TrainingLog
from cxrbench.training.randomness import derive, uniforms
from cxrbench.training.views import network_inputs

if TYPE_CHECKING:
    from accelerate import Accelerator

    from cxrbench.interfaces import LossFunction

_CHECK_EVERY = 10
"""Steps between looks at the loss: a look waits for the device."""


@dataclass(frozen=True)
class Training:
    """Everything that one training depends on.

    Attributes:
        network: freshly built, with its initial weights, on the CPU.
        backbone: says what the network takes and how images are normalised.
        loss: of logits and labels.
        augmentation: what training sees of an image.
        task: how logits become probabilities.
        train: rows with labels.
        val: rows with labels.
        image_size: side of the network's input.
        seed: of order, augmentation and dropout.
        spec: all other settings; precision is not ``auto`` here.
    """

    network: nn.Module
    backbone: Backbone
    loss: LossFunction
    augmentation: Augmentation
    task: Task
    train: Rows
    val: Rows
    image_size: int
    seed: int
    spec: TrainingSpec


@dataclass
class _Progress:
    """What a resumed training must know besides tensors."""

    epoch: int = 0
    best_score: float = -math.inf
    epochs_since_best: int = 0


def train(training: Training, folder: Path, device: torch.device, reporter: Reporter) -> None:
    """Train in ``folder``, going on from the state that a killed process left there.

    Leaves ``weights.safetensors`` (the best epoch's), ``optimizer.safetensors`` and ``optimizer.json``
    (after the last epoch), ``epochs.csv``, ``epochs.jsonl`` and ``steps.csv``, and the last
    :class:`TrainingState` for the caller to clear.

    Raises:
        CxrbenchError: the loss is not finite (the batch is named), or memory runs out.
    """
    spec = training.spec
    network = training.network
    if spec.channels_last:
        network = network.to(memory_format=torch.channels_last)
    accelerator = accelerator_for(_concrete(spec), device)
    order = SeededOrder(len(training.train), training.seed)
    network, optimizer, batches = accelerator.prepare(
        network,
        _optimizer(network, spec),
        loader(training.train, spec.batch_size, order, pin=device.type == "cuda"),
    )
    scheduler = _scheduler(optimizer.optimizer, spec, len(batches))
    state, log, done = TrainingState(folder), TrainingLog(), _Progress()
    best = folder / "weights.safetensors"

    if (latest := state.latest()) is not None:
        scalars = read_json(latest / "state.json")
        load_own_weights(accelerator.unwrap_model(network), latest / "weights.safetensors")
        load_optimizer(optimizer, latest / "optimizer.safetensors", latest / "optimizer.json")
        scheduler.load_state_dict(scalars["scheduler"])
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(scalars["scaler"])
        best.write_bytes((latest / "best.safetensors").read_bytes())
        log, done = TrainingLog(scalars["epochs"], scalars["steps"]), _Progress(**scalars["progress"])
        reporter.say(f"going on after epoch {done.epoch} of {spec.epochs}")

    total = spec.epochs * len(batches)
    with reporter.progress("training", total) as advance:
        advance(done.epoch * len(batches), "")
        while done.epoch < spec.epochs and not _stops_early(done, spec):
            epoch = done.epoch + 1
            started = time.perf_counter()
            rate = optimizer.param_groups[0]["lr"]
            # Dropout draws from torch's global generator; seeded here, a resumed epoch repeats itself.
            torch.manual_seed(derive("epoch", training.seed, epoch))
            order.epoch = epoch
            losses, times = _train_epoch(
                training, network, optimizer, scheduler, batches, accelerator, epoch, advance
            )
            row = _validate(training, network, accelerator)
            if isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step(row["val_loss"])
            score = -row["val_loss"] if spec.select == "loss" else row[spec.select]
            # A score that is undefined (no finding has both classes on val) never beats one that is not.
            is_best = epoch == 1 or score > done.best_score
            done = _Progress(
                epoch,
                max(done.best_score, -math.inf if math.isnan(score) else score),
                0 if is_best else done.epochs_since_best + 1,
            )
            step_seconds = sum(times) / len(times)
            log.steps += [
                [epoch, step, *each] for step, each in enumerate(zip(losses, times, strict=True), 1)
            ]
            log.epochs.append(
                {
                    "epoch": epoch,
                    "learning_rate": rate,
                    "train_loss": float(np.mean(losses)),
                    **row,
                    "seconds": time.perf_counter() - started,
                    "step_ms": step_seconds * 1e3,
                    "images_per_second": spec.batch_size / step_seconds,
                    "best": is_best,
                }
            )
            plain = accelerator.unwrap_model(network)
            if is_best:
                save_weights(plain, best)
            log.write(folder)
            scalars = {
                "progress": vars(done),
                "scheduler": scheduler.state_dict(),
                "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
                "epochs": log.epochs,
                "steps": log.steps,
            }
            state.save(epoch, plain, best, optimizer.state_dict(), scalars)
            reporter.say(_epoch_line(log.epochs[-1], spec))

    save_optimizer(optimizer.state_dict(), folder / "optimizer.safetensors", folder / "optimizer.json")
    log.write(folder)


def _train_epoch(
    training: Training,
    network: nn.Module,
    optimizer: Any,
    scheduler: LRScheduler | ReduceLROnPlateau,
    batches: Any,
    accelerator: Accelerator,
    epoch: int,
    advance: Advance,
) -> tuple[list[float], list[float]]:
    """One pass over the training rows; the loss and the seconds of each step.

    A GPU works behind the steps: the one that looks at the losses also waits for those before it.
    """
    network.train()
    spec = training.spec
    hashes = training.train.id_hashes()
    losses: list[float] = []
    times: list[float] = []
    waiting: list[tuple[Tensor, Batch]] = []
    started = time.perf_counter()
    for step, batch in enumerate(batches, 1):
        rows = batch["row"].cpu().numpy()
        numbers = uniforms(hashes[rows], training.augmentation.draws, "view", training.seed, epoch)
        draws = torch.from_numpy(numbers).to(accelerator.device)
        try:
            logits = network(
                *network_inputs(
                    training.backbone,
                    batch,
                    training.image_size,
                    spec.channels_last,
                    partial(training.augmentation.view, draws=draws),
                )
            )
            loss = training.loss(logits, batch["labels"])
            accelerator.backward(loss)
            if spec.clip_norm:
                accelerator.clip_grad_norm_(network.parameters(), spec.clip_norm)
            optimizer.step()
        except torch.OutOfMemoryError as error:
            raise CxrbenchError(
                f"The device ran out of memory with {spec.batch_size} images of {training.image_size} px "
                f"a step; try --batch-size {max(2, spec.batch_size // 2)}."
            ) from error
        optimizer.zero_grad()
        if not isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step()
        waiting.append((loss.detach(), batch))
        if len(waiting) == _CHECK_EVERY or step == len(batches):
            for value, (_, seen) in zip(
                torch.stack([loss for loss, _ in waiting]).tolist(), waiting, strict=True
            ):
                losses.append(value)
                if not math.isfinite(value):
                    raise _not_finite(training, value, epoch, len(losses), seen)
            advance(len(waiting), f"epoch {epoch}/{spec.epochs}, loss {losses[-1]:.3f}")
            waiting = []
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return losses, times


def _validate(training: Training, network: nn.Module, accelerator: Accelerator) -> dict[str, float]:
    """Loss and figures on val, in the training's precision; F1 at the best threshold of each finding."""
    logits = logits_of(
        network,
        training.backbone,
        training.val,
        image_size=training.image_size,
        batch_size=training.spec.batch_size,
        channels_last=training.spec.channels_last,
        device=accelerator.device,
    )
    labels = training.val.known_labels
    with torch.inference_mode():
        loss = float(training.loss(logits, torch.from_numpy(labels.astype(np.float32))))
    if np.isnan(labels).all():
        loss = math.nan
    probabilities = training.task.probabilities(logits.numpy())
    thresholds, f1 = best_f1(probabilities, labels)
    counts = confusion(training.task.decide(probabilities, thresholds), labels)
    return {
        "val_loss": loss,
        "mean_precision": macro(precision(counts)),
        "mean_recall": macro(recall(counts)),
        "macro_f1": macro(f1),
        "macro_auc": macro(auc(probabilities, labels)),
    }


def _concrete(spec: TrainingSpec) -> Precision:
    if spec.precision == "auto":
        raise ValueError("the precision is resolved before training")
    return spec.precision


def _optimizer(network: nn.Module, spec: TrainingSpec) -> Optimizer:
    kind = torch.optim.AdamW if spec.optimizer == "adamw" else torch.optim.Adam
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return kind(trainable, lr=spec.learning_rate, weight_decay=spec.weight_decay, fused=True)


def _scheduler(optimizer: Optimizer, spec: TrainingSpec, steps: int) -> LRScheduler | ReduceLROnPlateau:
    if spec.schedule == "plateau":
        return ReduceLROnPlateau(optimizer, factor=spec.plateau_factor, patience=spec.plateau_patience)
    if spec.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=spec.epochs * steps)
    return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _stops_early(done: _Progress, spec: TrainingSpec) -> bool:
    return 0 < spec.early_stopping <= done.epochs_since_best


def _not_finite(training: Training, value: float, epoch: int, step: int, batch: Batch) -> CxrbenchError:
    names = ", ".join(training.train.image_ids[batch["row"].cpu().numpy()][:4])
    return CxrbenchError(
        f"The loss became {value} in epoch {epoch}, step {step} ({len(batch['row'])} images: {names}, …); "
        "lower --learning-rate or use --precision fp32."
    )


def _epoch_line(row: dict[str, Any], spec: TrainingSpec) -> str:
    return (
        f"epoch {row['epoch']:>2}/{spec.epochs}"
        f"  loss {row['train_loss']:.3f}  val loss {row['val_loss']:.3f}"
        f"  AUC {row['macro_auc']:.3f}  F1 {row['macro_f1']:.3f}"
        f"  {row['images_per_second']:.0f} img/s  {row['seconds']:.1f} s"
        f"{'  best so far' if row['best'] else ''}"
    )
