"""How fast Grad-CAM of ``densenet_fpn`` is beside the library used as its own guide shows it.

Run ``python benchmarks/explain_speed.py``. Heatmaps of the same 64 px images, for the same classes, by the
pyramid's finest level: as ``cxrbench explain`` makes them of stored pixels, and by ``grad-cam`` itself with
gradients all the way back, in batches and image by image. The maps are compared, then images/s and ratios are
printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.explainers.cams import GradCam
from cxrbench.map_layers import layer_of
from cxrbench.pixels.images import stored_side
from cxrbench.reporter import Reporter
from cxrbench.specs import RunSpec
from cxrbench.stages.explain import maps_of
from cxrbench.training.batches import Batch, Rows, loader
from cxrbench.training.views import network_inputs

SIZE, CLASSES, BATCH = 64, 14, 32


class OfImages(nn.Module):
    """The network as the library calls it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.patient = torch.empty(0)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images with the patients that go with them."""
        logits: Tensor = self.network(images, self.patient)
        return logits


def simulate(count: int) -> Rows:
    rng = np.random.default_rng(0)
    side = stored_side(SIZE, 0.9)
    return Rows(
        pd.Index([f"{number:05d}" for number in range(count)]),
        rng.random((count, 3), dtype=np.float32),
        rng.integers(0, 256, (count, side, side), dtype=np.uint8),
        np.arange(count),
        None,
    )


def plainly(network: nn.Module, level: nn.Module, backbone: Any, rows: Rows, batch: int) -> NDArray[Any]:
    """Heatmaps by the library alone."""
    model = OfImages(network)
    cam, maps = GradCAM(model, [level]), []
    part: Batch
    for part in loader(rows, batch):
        images, model.patient = network_inputs(backbone, part, SIZE, 0.9, False)
        maps.append(cam(images, [ClassifierOutputTarget(int(row) % CLASSES) for row in part["row"]]))
    cam.activations_and_grads.release()
    return np.concatenate(maps)


def timed(work: Callable[[], NDArray[Any]], repeats: int) -> tuple[NDArray[Any], float]:
    """The maps and the least seconds."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        maps = work()
        seconds.append(time.perf_counter() - started)
    return maps, min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    count = parser.parse_args().images
    torch.manual_seed(0)
    backbone, rows, cpu = DensenetFpn(), simulate(count), torch.device("cpu")
    network = backbone.build(CLASSES, SIZE, False).eval()
    spec = RunSpec(image_size=SIZE)
    level = layer_of(network, [torch.rand(2, 3, SIZE, SIZE), torch.rand(2, 3)], "P3")
    classes = [row % CLASSES for row in range(count)]

    def ours() -> NDArray[Any]:
        return maps_of(GradCam(), network, level, spec, backbone, rows, classes, cpu, Reporter(quiet=True))

    mine, seconds = timed(ours, 3)
    print(f"{torch.get_num_threads()} threads, {count} images of {SIZE} px")
    print(f"cxrbench explain: {count / seconds:.1f} images/s")
    few = rows.__class__(rows.image_ids[:64], rows.patient[:64], rows.pixels, rows.positions[:64], None)
    for name, batch, some in (("in batches", BATCH, rows), ("image by image", 1, few)):
        theirs, needed = timed(lambda b=batch, r=some: plainly(network, level.module, backbone, r, b), 2)  # type: ignore[misc]
        rate, difference = len(some) / needed, np.abs(mine[: len(some)] - theirs).max()
        print(
            f"grad-cam alone, {name}: {rate:.1f} images/s; cxrbench {count / seconds / rate:.2f} ×; "
            f"maps differ by {difference:.4f} at most"
        )


if __name__ == "__main__":
    main()
