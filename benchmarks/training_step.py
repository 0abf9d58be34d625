"""A training step of ``densenet_fpn`` on this processor: plain loop, channels last, and autocast.

The ways run in turns (A B C A B C …), each on a network of its own with the same weights and the same
batch, and their medians are compared, so that whatever else the machine does falls on all of them::

    python benchmarks/training_step.py --image-size 64 --batch-size 32 --rounds 9
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from cxrbench.backbones.densenet_fpn import DensenetFpn

EPOCH_IMAGES = 1250


@dataclass(frozen=True)
class Way:
    """One way of training: how tensors lie in memory, in which precision, with which Adam."""

    name: str
    memory_format: torch.memory_format
    autocast: bool
    fused: bool = False


WAYS = (
    Way("a  plain fp32, contiguous", torch.contiguous_format, autocast=False),
    Way("b  channels last, fp32", torch.channels_last, autocast=False),
    Way("c  channels last, bf16 autocast", torch.channels_last, autocast=True),
    Way("d  as c, fused Adam", torch.channels_last, autocast=True, fused=True),
)


def training_step(way: Way, image_size: int, batch_size: int) -> Callable[[], None]:
    """A function that takes one step: forward, loss, backward, Adam."""
    torch.manual_seed(0)
    network = (
        DensenetFpn().build(14, image_size, pretrained=False).train().to(memory_format=way.memory_format)
    )
    images = torch.randn(batch_size, 3, image_size, image_size).to(memory_format=way.memory_format)
    patients, labels = torch.rand(batch_size, 3), (torch.rand(batch_size, 14) < 0.1).float()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, fused=way.fused)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=way.autocast):
            logits = network(images, patients)
        loss = F.binary_cross_entropy_with_logits(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description="A training step of densenet_fpn, plain against tuned.")
    parser.add_argument("--image-size", type=int, default=64, metavar="PIXELS")
    parser.add_argument("--batch-size", type=int, default=32, metavar="IMAGES")
    parser.add_argument(
        "--rounds", type=int, default=9, help="measured steps of each way, after two to warm up"
    )
    arguments = parser.parse_args()

    steps = {way.name: training_step(way, arguments.image_size, arguments.batch_size) for way in WAYS}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(-2, arguments.rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if round_ >= 0:
                seconds[name].append(time.perf_counter() - started)

    medians = {name: statistics.median(values) for name, values in seconds.items()}
    plain = medians[WAYS[0].name]
    print(
        f"densenet_fpn, {arguments.image_size} px, batch {arguments.batch_size}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, median of {arguments.rounds} steps"
    )
    print(f"{'':34}{'images/s':>9}{'against a':>11}{f'{EPOCH_IMAGES:,} images':>15}")
    for name, median in medians.items():
        rate = arguments.batch_size / median
        print(f"{name:34}{rate:9.1f}{plain / median:10.2f}×{EPOCH_IMAGES / rate:13.1f} s")


if __name__ == "__main__":
    main()
