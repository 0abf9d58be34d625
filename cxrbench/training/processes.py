"""Several processes at one training: ``accelerate launch`` or ``torchrun`` with ``-m cxrbench``.

Process 0 does the whole workflow. The others wait until it summons them to a training, run the same loop on
their share of each batch, write and say nothing, and end when it ends. Where a training breaks off in one
process alone, the others may hang in the middle of a step: process 0 then ends with an error, at which the
launcher ends the rest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import Sampler

from cxrbench.errors import CallEnd, CxrbenchError, UsageError
from cxrbench.specs import TrainingSpec
from cxrbench.training.batches import Rows, SeededOrder, loader

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

T = TypeVar("T")

_PATIENCE = timedelta(days=30)
"""How long others wait for process 0, which may prepare images and evaluate meanwhile."""


class DivergedError(CxrbenchError):
    """The loss is not finite: all processes see it at the same step, and stay in step."""


@dataclass
class Processes:
    """The processes of this launch, of which this is one.

    Attributes:
        rank: this process; 0 leads.
        count: how many there are.
        in_step: False from the moment a training breaks off in a way that others may not know of.
    """

    rank: int = 0
    count: int = 1
    in_step: bool = True
    _control: dist.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process writes and says what there is to write and say."""
        return self.rank == 0

    @property
    def apart(self) -> tuple[int, ...]:
        """What tells this process's dropout from the leader's; empty in the leader."""
        return () if self.leads else (self.rank,)

    def require_shares(self, batch_size: int, device: torch.device) -> None:
        """Refuse a launch that cannot train batches of this size.

        Raises:
            UsageError: shares would differ or hold one image alone, there are fewer GPUs than processes, or
                the launch did not go through ``python -m cxrbench``.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) != self.count:
            raise UsageError(
                "cxrbench was started as several processes that do not know of each other; start it as "
                "'accelerate launch … -m cxrbench …' or 'torchrun … -m cxrbench …'."
            )
        if batch_size % self.count or batch_size < 2 * self.count:
            raise UsageError(
                f"A batch of {batch_size} cannot be shared by {self.count} processes, each with as many "
                f"images and two at least; try --batch-size {max(2, batch_size // self.count) * self.count}."
            )
        for name in ("DEEPSPEED", "FSDP", "MEGATRON_LM", "CPU"):
            told = os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() in ("1", "true", "yes")
            if told and not (name == "CPU" and device.type == "cpu"):
                raise UsageError(
                    f"accelerate was told to use {name}, which would train something else than what "
                    "cxrbench records; give accelerate launch no such option (for a CPU, --device cpu)."
                )
        here = int(os.environ.get("LOCAL_WORLD_SIZE", self.count))
        if self.count > 1 and device.type == "cuda" and torch.cuda.device_count() < here:
            raise UsageError(
                f"There are {here} processes for {torch.cuda.device_count()} GPUs; start one process "
                "a GPU, or give --device cpu."
            )

    def require_rows(self, rows: int) -> None:
        """Refuse to train on so few rows that a process would have less than two images a step.

        Raises:
            CxrbenchError: they are fewer.
        """
        if rows < 2 * self.count:
            raise CxrbenchError(
                f"Training needs two images a process at least, {2 * self.count} in all, and has {rows}; "
                "give more images or start fewer processes."
            )

    def step_of(self, rows: int, spec: TrainingSpec) -> int:
        """How many images a step takes, all processes together: fewer than a batch where rows are fewer."""
        return min(spec.images_a_step, rows) // self.count * self.count

    def batches(self, rows: Rows, batch_size: int, order: SeededOrder, *, pin: bool) -> DataLoader[Any]:
        """This process's share of each batch of ``batch_size`` images in ``order``."""
        if self.count == 1:
            return loader(rows, batch_size, order, pin=pin)
        share = min(batch_size, len(order)) // self.count
        return loader(rows, share, _Share(order, share, self.rank, self.count), pin=pin)  # type: ignore[arg-type]

    def mean(self, losses: Tensor) -> Tensor:
        """The mean over processes of each process's tensor."""
        if self.count > 1:
            dist.all_reduce(losses)
            losses /= self.count
        return losses

    def weight_of(self, labels: Tensor) -> Tensor:
        """What the mean over known labels weighs here, so that the mean over processes is that of all.

        Args:
            labels: ``[B, c]`` of this process, NaN where unknown.
        """
        known = (~labels.isnan()).sum().float()
        everywhere = known.clone()
        dist.all_reduce(everywhere)
        return known * self.count / everywhere.clamp(min=1)

    def agree(self, decide: Callable[[], T]) -> T:
        """What ``decide`` gives in process 0, in all of them."""
        if self.count == 1:
            return decide()
        return self._broadcast(decide() if self.leads else None)  # type: ignore[no-any-return]

    @contextmanager
    def training(self) -> Iterator[None]:
        """A block that all run in step; only its end, or divergence, leaves them so.

        Raises:
            CallEnd: in process 0 of several, what broke off is said, and the whole call ends: no other
                training could begin.
        """
        self.in_step = self.count == 1
        try:
            yield
        except DivergedError:
            self.in_step = True
            raise
        except (CxrbenchError, RuntimeError) as error:
            if self.count == 1 or not self.leads or not (isinstance(error, CxrbenchError) or _is_lost(error)):
                raise
            why = str(error) if isinstance(error, CxrbenchError) else "Another process broke off"
            print(
                f"Error: {why.rstrip('.')}; the call ends here, and the same command goes on from the last "
                "finished epoch.",
                file=sys.stderr,
            )
            raise CallEnd(1) from error
        self.in_step = True

    def summon(self, invitation: object) -> None:
        """Have the other processes take part in what ``invitation`` describes.

        Raises:
            CxrbenchError: an earlier training broke off.
        """
        if not self.in_step:
            raise CxrbenchError(
                "The processes of this launch are not in step since a training broke off; start the same "
                "command again, which goes on from there."
            )
        if self.count > 1:
            self._broadcast(invitation)

    def dismiss(self) -> None:
        """Let the other processes end, where they listen."""
        if self.in_step:
            self._broadcast(None)

    def invitation(self) -> Any:
        """What process 0 summons to next; None where it ends."""
        return self._broadcast(None)

    def _broadcast(self, value: object) -> Any:
        # Pickled, but between processes of one command: nothing of it reaches a file.
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._control, device=torch.device("cpu"))
        return values[0]


class _Share(Sampler[int]):
    """Of each batch in an order, the consecutive rows that one process takes."""

    def __init__(self, order: Sampler[int], share: int, rank: int, count: int) -> None:
        self._order, self._share, self._rank, self._count = order, share, rank, count

    def __len__(self) -> int:
        return len(self._order) // (self._share * self._count) * self._share  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        rows = np.fromiter(self._order, np.int64)
        whole = len(self) // self._share
        batches = rows[: whole * self._share * self._count].reshape(whole, self._count, self._share)
        return iter(batches[:, self._rank].ravel().tolist())


_current = Processes()


def current() -> Processes:
    """The processes of this launch; one that leads, where there is no other."""
    return _current


def run_together(lead: Callable[[], None], take_part: Callable[[Any], None]) -> None:
    """Run ``lead`` in process 0, and ``take_part`` in the others each time it summons them; then end.

    What they open together is left to the operating system: an interpreter that ends in the ordinary way
    destroys threads of gloo and torch in an order that now and then aborts it.
    """
    global _current
    _current = processes = _join()
    code: int | str | None = 0
    try:
        if processes.leads:
            try:
                lead()
            finally:
                processes.dismiss()
        else:
            _follow(processes, take_part)
    except SystemExit as ended:
        code = ended.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _follow(processes: Processes, take_part: Callable[[Any], None]) -> None:
    try:
        while (invitation := processes.invitation()) is not None:
            try:
                take_part(invitation)
            except DivergedError:
                continue  # process 0 says it
    except CxrbenchError as error:
        print(f"Error: in process {processes.rank}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    except KeyboardInterrupt as error:
        raise SystemExit(1) from error
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise SystemExit(1) from error  # process 0 was interrupted or is gone


def _is_lost(error: RuntimeError) -> bool:
    """Whether this is how a process learns that another is gone; gloo says it in a plain RuntimeError."""
    return isinstance(error, dist.DistError) or "onnection" in str(error)


def _join() -> Processes:
    gpu = int(os.environ.get("LOCAL_RANK", "0"))
    has_gpu = torch.cuda.is_available() and gpu < torch.cuda.device_count()
    if has_gpu:
        torch.cuda.set_device(gpu)
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_gpu else "gloo")
    control = dist.new_group(backend="gloo", timeout=_PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size(), _control=control)  # type: ignore[arg-type]
