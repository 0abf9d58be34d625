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
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from cxrbench.files import read_json
from cxrbench.reporter import Advance, Reporter
from cxrbench.specs import TrainingSpec
from cxrbench.training.batches import SeededOrder
from cxrbench.training.checkpoint import (
    OPTIMIZER_FILES,
    TrainingState,
    load_optimizer,
    load_own_weights,
    save_weights,
)
from cxrbench.training.devices import (
    accelerator_for,
    deterministic,
    in_one_sentence,
    true_fp32,
)
from cxrbench.training.log import TrainingLog
from cxrbench.training.processes import DivergedError, Processes, current
from cxrbench.training.randomness import derive, uniforms
from cxrbench.training.schedule import (
    Schedule,
    cycles_of,
    most_epochs,
    schedule_of,
)
from cxrbench.training.setting import Training, precision_of
from cxrbench.training.step import Step
from cxrbench.training.validation import validate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import LossFunction

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
                row = processes.agree(partial(validate, training, judged, accelerator.device))
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
