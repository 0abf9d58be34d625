"""Checks of runtimes (:class:`cxrbench.interfaces.Runtime`), on whichever devices they can run here."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor, nn

from cxrbench.interfaces import DeviceType, NumberFormat
from cxrbench.testing.check import Check, Subject, require

if TYPE_CHECKING:
    from cxrbench.interfaces import Engine, Runtime

_BATCH, _SIDE, _CLASSES = 2, 32, 3
_TOLERANCE: dict[NumberFormat, float] = {"fp32": 1e-4, "tf32": 0.02, "bf16": 0.1, "fp16": 0.02, "int8": 0.3}
"""How far logits may be off, of their largest."""


class _SmallNetwork(nn.Module):
    """A convolution with batch norm, and patient data beside its maps."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8 + 3, _CLASSES)

    def forward(self, image: Tensor, patient: Tensor) -> Tensor:
        logits: Tensor = self.head(torch.cat([self.maps(image).mean(dim=(2, 3)), patient], dim=1))
        return logits


def says_why_it_cannot_run(subject: Subject) -> None:
    """For each device it gives a text: empty, or what is missing, without a full stop."""
    runtime: Runtime = subject.make()
    for device in get_args(DeviceType):
        why = runtime.unavailable(device)
        require(isinstance(why, str) and not why.endswith("."), f"On {device} it gives {why!r}.")


def names_its_formats(subject: Subject) -> None:
    """Where it can run it has a format at least, and only ones that there are."""
    for device, runtime in _devices(subject):
        found = runtime.precisions(device)
        require(found and set(found) <= set(get_args(NumberFormat)), f"On {device} it has {found}.")


def computes_what_torch_does(subject: Subject) -> None:
    """Logits float32 [B, c] on the device, as near to torch's in fp32 as the format allows."""
    for device, runtime in _devices(subject):
        for precision in runtime.precisions(device):
            network, batches = _example(device)
            with torch.no_grad():
                expected = copy.deepcopy(network)(*batches[0])
            logits = runtime.build(network, batches, precision).run(batches[0])
            require(
                logits.dtype == torch.float32 and logits.shape == (_BATCH, _CLASSES),
                f"In {precision} it gives {logits.dtype} {tuple(logits.shape)}.",
            )
            require(logits.device.type == device, f"In {precision} it gives logits on {logits.device}.")
            gap = float((logits - expected).abs().max() / expected.abs().max())
            require(gap <= _TOLERANCE[precision], f"In {precision} a logit is {gap:.3g} of the largest off.")


def keeps_calls_apart(subject: Subject) -> None:
    """What a call gave stays as it is when the engine is called again; inputs are not changed."""
    for device, runtime in _devices(subject):
        network, batches = _example(device)
        engine: Engine = runtime.build(network, batches, runtime.precisions(device)[0])
        kept = [each.clone() for each in batches[0]]
        first = engine.run(batches[0])
        before = first.clone()
        engine.run([each * 0.5 for each in batches[0]])
        require(torch.equal(first, before), "A second call changes the logits of the first.")
        same = all(torch.equal(one, other) for one, other in zip(kept, batches[0], strict=True))
        require(same, "It changes its inputs.")


def proves_its_format(subject: Subject) -> None:
    """What it says of the format that it computes in is a text such as fp32 or bf16+fp32, or None."""
    for device, runtime in _devices(subject):
        network, batches = _example(device)
        proved = runtime.build(network, batches, "fp32").proved_precision
        require(proved in (None, "fp32"), f"Asked for fp32 it proves {proved!r}.")


CHECKS = tuple(
    map(
        Check,
        (
            says_why_it_cannot_run,
            names_its_formats,
            computes_what_torch_does,
            keeps_calls_apart,
            proves_its_format,
        ),
    )
)


def _devices(subject: Subject) -> Iterator[tuple[DeviceType, Runtime]]:
    runtime: Runtime = subject.make()
    for device in get_args(DeviceType):
        if not runtime.unavailable(device):
            yield device, runtime


def _example(device: DeviceType) -> tuple[nn.Module, list[list[Tensor]]]:
    """A small network with statistics of its own, and batches of its inputs."""
    draws = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _SmallNetwork()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.uniform_(0.5, 1.5, generator=draws)
    shapes = ((_BATCH, 3, _SIDE, _SIDE), (_BATCH, 3))
    batches = [[torch.rand(shape, generator=draws).to(device) for shape in shapes] for _ in range(4)]
    return network.eval().to(device), batches
