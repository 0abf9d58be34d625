"""Five heads on one frozen network, with stored features and without: ``python benchmarks/feature_reuse.py``.

Against that stands one plain pass of the network over the same images, without any training. ``--device``,
``--network``, ``--side``, ``--epochs`` and ``--images`` set the size. With ``--cpu-seconds`` and one thread
(``OMP_NUM_THREADS=1``) figures hold on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch

from cxrbench.grid import cells
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.training.devices import DeviceName, device_of, true_fp32
from cxrbench.training.inference import outputs_of
from cxrbench.workflow import Job, Workflow, runs

HEADS = (
    "dense:neurons=256",
    "dense:neurons=64,layers=2",
    "dense:neurons=512,dropout=0.5",
    "dense:layers=0",
    "dense:neurons=128,dropout=0.25,l2=0.001",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="timm/resnet18")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1600, help="of train, val and tune together")
    parser.add_argument("--cpu-seconds", action="store_true", help="of this process, not of the clock")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(given, Path(folder))


def measure(given: argparse.Namespace, folder: Path) -> None:
    device: DeviceName = given.device
    settings = {
        "dataset": f"phantom:train_val={given.images},test=100",
        "backbone": given.network,
        "augmentation": "none",
        "image_size": given.side,
        "head": list(HEADS),
        "training": {"epochs": given.epochs, "precision": "fp32", "trainable": "head"},
    }
    registry, reporter = installed().registry, Reporter(quiet=True)
    specs = cells(settings, {}, (), registry)

    def jobs() -> list[Job]:
        store = Store(folder, reporter)
        workflow = Workflow(store, registry, reporter, device_of(device), None)
        return [workflow.job(spec) for spec in specs]

    clock = time.process_time if given.cpu_seconds else time.perf_counter

    def seconds(do: Callable[[], object]) -> float:
        start = clock()
        do()
        return clock() - start

    first = jobs()[0]
    first.images.prepare()  # images are drawn once, by whoever comes first
    one_pass = seconds(lambda: plain_pass(first))
    images = sum(len(first._network._image_rows(role)) for role in ("train", "val"))
    print(f"one plain pass over {images} images of train and val   {one_pass:7.1f} s")

    reused = [seconds(job.train) for job in jobs()]
    each = ", ".join(f"{time_:.1f}" for time_ in reused)
    print(f"five heads of {given.epochs} epochs, stored features      {sum(reused):7.1f} s  ({each})")
    for stage in ("train", "features"):
        (folder / "artifacts" / stage).rename(folder / f"{stage}-before")
    with mock.patch.object(runs, "are_stored", return_value=False):
        whole = [seconds(job.train) for job in jobs()]
    each = ", ".join(f"{time_:.1f}" for time_ in whole)
    print(f"five heads of {given.epochs} epochs, whole network        {sum(whole):7.1f} s  ({each})")
    passes = sum(reused) / one_pass
    print(f"{sum(whole) / sum(reused):.1f} times as fast; {passes:.2f} plain passes for five heads")


def plain_pass(job: Job) -> None:
    """The frozen part over train and val, its outputs thrown away."""
    subject, device = job._network, job._workflow.device
    spec, backbone = subject.spec, subject._backbone
    network = subject.initial().features.to(device, memory_format=torch.channels_last)
    with true_fp32():
        for role in ("train", "val"):
            for _ in outputs_of(
                network,
                backbone,
                subject._image_rows(role),
                image_size=spec.image_size,
                crop=spec.crop,
                batch_size=spec.training.images_a_step,
                channels_last=True,
                device=device,
            ):
                pass


if __name__ == "__main__":
    main()
