"""The training loop: read it from top to bottom."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from cxrbench.files import read_json
from cxrbench.interfaces import Augmentation, Backbone
from cxrbench.reporter import Advance, Reporter
from cxrbench.specs import TrainingSpec
from cxrbench.statistics.averages import macro
from cxrbench.statistics.decisions import balanced_accuracy, confusion, f1, precision, recall
from cxrbench.statistics.operating import best_f1
from cxrbench.statistics.ranking import auc
from cxrbench.statistics.single_label import accuracy, confusion_matrix
from cxrbench.task import Task
from cxrbench.training.batches import Batch, Rows, SeededOrder
from cxrbench.training.checkpoint import (
    OPTIMIZER_FILES,
    TrainingState,
    load_optimizer,
    load_own_weights,
    save_weights,
)
from cxrbench.training.devices import (
    Precision,
    accelerator_for,
    deterministic,
    in_one_sentence,
    true_fp32,
)
from cxrbench.training.ema import average_of
from cxrbench.training.inference import logits_of
from cxrbench.training.log import TrainingLog
from cxrbench.training.processes import DivergedError, Processes, current
from cxrbench.training.randomness import derive, uniforms
from cxrbench.training.schedule import (
    CyclePlan,
    Schedule,
    cycles_of,
    most_epochs,
    optimizer_of,
    schedule_of,
)
from cxrbench.training.trainable import freeze, frozen_modules
from cxrbench.training.views import network_inputs

if TYPE_CHECKING:
    from accelerate import Accelerator
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray, LossFunction

LOGGED_THRESHOLDS = (0.4, 0.5, 0.6)
"""For all findings alike: those of Dunn Beltran and Alsaghier, "Multi-Label Classification for Chest X-Rays",
2022, section 5, which has figures at each of them after every epoch."""

_CHECK_EVERY = 10
"""Steps between looks at the loss: a look waits for the device."""

Stop = Callable[[Sequence[Mapping[str, Any]]], bool]
"""Asked in process 0 before each epoch, with the rows of the log so far (those of a killed process among
them): whether the training should end here. It may be asked again about rows that it knows."""


def never(epochs: Sequence[Mapping[str, Any]]) -> bool:
    """Go on to the end."""
    return False


EpochEnded = Callable[[Mapping[str, Any]], None]
"""Told in process 0 of the row of the log, after each epoch whose state is on disk."""


def unheard(epoch: Mapping[str, Any]) -> None:
    """Nobody is told."""


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


@dataclass(frozen=True)
class _Progress:
    """What a resumed training must know besides tensors: all that counts towards an end or a choice.

    ``cycle`` is how many are done, ``cycle_epochs`` how many epochs of the one at hand.
    """

    epoch: int = 0
    cycle: int = 0
    cycle_epochs: int = 0
    best_score: float = -math.inf
    epochs_since_best: int = 0

    def after(self, score: float, is_best: bool, most: int, early_stopping: int) -> _Progress:
        """One epoch further, of at most so many in this cycle."""
        since = 0 if is_best else self.epochs_since_best + 1
        ends = self.cycle_epochs + 1 == most or 0 < early_stopping <= since
        return _Progress(
            self.epoch + 1,
            self.cycle + ends,
            0 if ends else self.cycle_epochs + 1,
            max(self.best_score, -math.inf if math.isnan(score) else score),
            0 if ends else since,
        )


def train(
    training: Training,
    folder: Path,
    device: torch.device,
    reporter: Reporter,
    stop: Stop = never,
    ended: EpochEnded = unheard,
) -> bool:
    """Train in ``folder``, going on from the state that a killed process left there.

    Leaves ``weights.safetensors`` (the best epoch's; averaged ones where ``ema`` is set),
    ``optimizer.safetensors`` and ``optimizer.json`` (after the last epoch), ``epochs.csv``, ``epochs.jsonl``
    and ``steps.csv``, and the last :class:`TrainingState` for the caller to clear. With several processes,
    all call this at once and process 0 writes.

    ``fp32`` is without TF32, here and in what is judged on val.

    Returns:
        False where ``stop`` ended it before its last epoch; the files are then not whole.

    Raises:
        CxrbenchError: the loss is not finite (the batch is named), memory runs out, or an operation cannot be
            compiled or has no deterministic way.
    """
    processes, spec = current(), training.spec
    with (
        processes.training(),
        true_fp32(),
        deterministic(spec.deterministic),
        in_one_sentence(spec, training.image_size),
    ):
        return _train(training, folder, device, reporter, processes, stop, ended)


def _train(
    training: Training,
    folder: Path,
    device: torch.device,
    reporter: Reporter,
    processes: Processes,
    stop: Stop,
    ended: EpochEnded,
) -> bool:
    spec, cycles = training.spec, cycles_of(training.spec)
    accelerator = accelerator_for(precision_of(spec), device)
    step = Step(training, accelerator)
    plain, average = step.plain, step.average
    order = SeededOrder(len(training.train), training.seed)
    batches = processes.batches(training.train, spec.images_a_step, order, pin=device.type == "cuda")
    state, log, done = TrainingState(folder), TrainingLog(), _Progress()
    best = folder / "weights.safetensors"

    if (latest := state.latest()) is not None:
        scalars = read_json(latest / "state.json")
        log, done = TrainingLog(scalars["epochs"], scalars["steps"]), _Progress(**scalars["progress"])
        load_own_weights(plain, latest / "weights.safetensors")
        if average is not None:
            load_own_weights(average.network, latest / "average.safetensors")
            average.updates = scalars["averaged"]
        if accelerator.scaler is not None:
            accelerator.scaler.load_state_dict(scalars["scaler"])
        if processes.leads:
            best.write_bytes((latest / "best.safetensors").read_bytes())
        reporter.say(f"going on after epoch {done.epoch} of {most_epochs(spec)}")

    with reporter.progress("training", most_epochs(spec) * len(batches)) as advance:
        advance(done.epoch * len(batches), "")
        for number in range(done.cycle, len(cycles)):
            cycle = cycles[number]
            loss = training.cycle_losses[number] if training.cycle_losses else training.loss
            step.begin_cycle(cycle)
            optimizer = step.optimizer
            if latest is not None and done.cycle_epochs > 0:
                load_optimizer(optimizer, *(latest / name for name in OPTIMIZER_FILES))
            schedule = schedule_of(optimizer.optimizer, spec, cycle.epochs * len(batches))
            if done.cycle_epochs > 0:
                schedule.load_state_dict(scalars["schedule"])
            while done.cycle == number:
                if processes.agree(partial(stop, log.epochs)):
                    return False
                epoch = done.epoch + 1
                started = time.perf_counter()
                rate = optimizer.param_groups[0]["lr"]
                # Dropout draws from torch's global generator; seeded here, a resumed epoch repeats itself.
                torch.manual_seed(derive("epoch", training.seed, epoch, *processes.apart))
                order.epoch = epoch
                losses, times = _train_epoch(step, loss, schedule, batches, epoch, advance)
                judged = plain if average is None else average.network
                row = processes.agree(partial(_validate, training, judged, accelerator.device))
                if isinstance(schedule, ReduceLROnPlateau):
                    schedule.step(row["val_loss"])
                score = -row["val_loss"] if spec.select == "loss" else row[spec.select]
                # A score that is undefined (no finding has both classes on val) never beats one that is not.
                is_best = epoch == 1 or score > done.best_score
                done = done.after(score, is_best, cycle.epochs, spec.early_stopping)
                step_seconds = sum(times) / len(times)
                log.steps += [
                    [epoch, at, *each] for at, each in enumerate(zip(losses, times, strict=True), 1)
                ]
                log.epochs.append(
                    {
                        "epoch": epoch,
                        "cycle": number + 1,
                        "learning_rate": rate,
                        "train_loss": float(np.mean(losses)),
                        **row,
                        "seconds": time.perf_counter() - started,
                        "step_ms": step_seconds * 1e3,
                        "images_per_second": processes.step_of(len(training.train), spec) / step_seconds,
                        "best": is_best,
                    }
                )
                if not processes.leads:
                    continue
                if is_best:
                    save_weights(judged, best)
                log.write(folder)
                scalars = {
                    "progress": vars(done),
                    "schedule": schedule.state_dict(),
                    "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
                    "averaged": average.updates if average is not None else 0,
                    "epochs": log.epochs,
                    "steps": log.steps,
                }
                averaged = average.network if average is not None else None
                state.save(epoch, plain, best, optimizer.state_dict(), scalars, averaged)
                reporter.say(_epoch_line(log.epochs[-1], spec))
                ended(log.epochs[-1])

    if processes.leads and (latest := state.latest()) is not None:
        for name in OPTIMIZER_FILES:
            shutil.copyfile(latest / name, folder / name)
        log.write(folder)
    return True


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


def _train_epoch(
    step: Step, loss_of: LossFunction, schedule: Schedule, batches: Any, epoch: int, advance: Advance
) -> tuple[list[float], list[float]]:
    """One pass over the training rows; the loss and the seconds of each step.

    A GPU works behind the steps: the one that looks at the losses also waits for those before it.
    """
    training, device = step.training, step.accelerator.device
    hashes = training.train.id_hashes()
    losses: list[float] = []
    times: list[float] = []
    waiting: list[tuple[Tensor, NDArray[np.int64]]] = []
    step.begin_epoch()
    started = time.perf_counter()
    for number, batch in enumerate(batches, 1):
        rows = batch["row"].numpy()
        numbers = uniforms(hashes[rows], training.augmentation.draws, "view", training.seed, epoch)
        draws = torch.from_numpy(numbers)
        if device.type == "cuda":
            # Like the batch: from other memory the copy would wait for the device.
            draws = draws.pin_memory()
        draws = draws.to(device, non_blocking=True)
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
        waiting.append((step.take(loss_of, moved, draws), rows))
        # After a step that fp16's scaler skipped there is nothing to schedule.
        if not (isinstance(schedule, ReduceLROnPlateau) or step.optimizer.step_was_skipped):
            schedule.step()
        if len(waiting) == _CHECK_EVERY or number == len(batches):
            values = current().mean(torch.stack([loss for loss, _ in waiting])).tolist()
            for value, (_, seen) in zip(values, waiting, strict=True):
                losses.append(value)
                if not math.isfinite(value):
                    raise _not_finite(training, value, epoch, len(losses), seen)
            advance(len(waiting), f"epoch {epoch}/{most_epochs(training.spec)}, loss {losses[-1]:.3f}")
            waiting = []
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return losses, times


def _validate(training: Training, network: nn.Module, device: torch.device) -> dict[str, float]:
    """Loss and figures on val; F1 at the best threshold of each finding, or of the most probable class.

    In fp32, as predictions are: what is selected is then what is predicted with, and ties of bf16's 8 bits
    select nothing. Val is a ninth of train, and a step costs three passes, so this costs some percent.
    """
    logits = logits_of(
        network,
        training.backbone,
        training.val,
        image_size=training.image_size,
        crop=training.crop,
        batch_size=training.spec.images_a_step,
        channels_last=training.spec.channels_last,
        device=device,
    )
    labels = training.val.known_labels
    with torch.inference_mode():
        loss = float(training.loss(logits, torch.from_numpy(labels.astype(np.float32))))
    if np.isnan(labels).all():
        loss = math.nan
    probabilities = training.task.probabilities(logits.numpy())
    if training.task.kind == "singlelabel":
        decisions = training.task.decide(probabilities, None)
        f1_of_each = f1(confusion(decisions, labels))
        row = {"accuracy": accuracy(confusion_matrix(decisions, labels))}
    else:
        thresholds, f1_of_each = best_f1(probabilities, labels)
        decisions = training.task.decide(probabilities, thresholds)
        row = _at_fixed(training, probabilities, labels)
    counts = confusion(decisions, labels)
    return {
        "val_loss": loss,
        "mean_precision": macro(precision(counts)),
        "mean_recall": macro(recall(counts)),
        "macro_f1": macro(f1_of_each),
        "macro_auc": macro(auc(probabilities, labels)),
        **row,
    }


def _at_fixed(training: Training, probabilities: FloatArray, labels: FloatArray) -> dict[str, float]:
    """Figures on val at each of :data:`LOGGED_THRESHOLDS`."""
    row = {}
    for threshold in LOGGED_THRESHOLDS:
        everywhere = np.full(probabilities.shape[1], threshold)
        counts = confusion(training.task.decide(probabilities, everywhere), labels)
        row[f"macro_f1_at_{threshold:g}"] = macro(f1(counts))
        row[f"auc_binarized_at_{threshold:g}"] = macro(balanced_accuracy(counts))
    return row


def precision_of(spec: TrainingSpec) -> Precision:
    """The number format, once it is resolved."""
    if spec.precision == "auto":
        raise ValueError("the precision is resolved before training")
    return spec.precision


def _not_finite(
    training: Training, value: float, epoch: int, step: int, rows: NDArray[np.int64]
) -> DivergedError:
    names = ", ".join(training.train.image_ids[rows[:4]])
    return DivergedError(
        f"The loss became {value} in epoch {epoch}, step {step} ({len(rows)} images: {names}, …); "
        "lower --learning-rate or use --precision fp32."
    )


def _epoch_line(row: dict[str, Any], spec: TrainingSpec) -> str:
    return (
        f"epoch {row['epoch']:>2}/{most_epochs(spec)}"
        f"  loss {row['train_loss']:.3f}  val loss {row['val_loss']:.3f}"
        f"  AUC {row['macro_auc']:.3f}  F1 {row['macro_f1']:.3f}"
        f"  {row['images_per_second']:.0f} img/s  {row['seconds']:.1f} s"
        f"{'  best so far' if row['best'] else ''}"
    )
