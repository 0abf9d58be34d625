"""The ways of ``input_pipeline.py``: torchxrayvision's, and filling and reading the image cache."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from nih_lookalike import TABLE, write_nih
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import Compose
from torchxrayvision.datasets import NIH_Dataset, XRayCenterCrop, XRayResizer

from cxrbench.augmentations.fpn_fusion import FpnFusionAugmentation
from cxrbench.data import Data
from cxrbench.datasets.nih import Nih
from cxrbench.pixels.cache import ImageCache
from cxrbench.pixels.identities import Identities
from cxrbench.pixels.images import Images, stored_side
from cxrbench.preprocessing.none import NoPreprocessing
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.training.batches import Rows, SeededOrder, loader
from cxrbench.training.views import central_view, normalised

SIZE, CROP, BATCH, WORKERS = 224, 0.9, 32, 2
AUGMENTATION = FpnFusionAugmentation()


def peer(root: Path, *, resized: bool) -> DataLoader:
    """The peer's batches; without resizing, whole images as its network-independent part gives them."""
    steps = [XRayCenterCrop(), XRayResizer(SIZE)] if resized else [XRayCenterCrop()]
    dataset = NIH_Dataset(
        root / "images",
        root / TABLE,
        views=["PA", "AP"],
        transform=Compose(steps),
        unique_patients=False,
    )
    return DataLoader(dataset, BATCH if resized else 4, num_workers=WORKERS, persistent_workers=True)


def images_of(root: Path, results: Path) -> tuple[Data, Images]:
    """The same images here; nothing is read yet."""
    reporter = Reporter(quiet=True)
    store = Store(results, reporter)
    data = Data(Nih(), {"name": "nih", "version": "1"}, root, store)
    cache = ImageCache.of(store, {}, stored_side(SIZE, CROP))
    return data, Images(data, Identities(data, store), NoPreprocessing(), cache, reporter)


def evaluation(rows: Rows) -> Iterator[Tensor]:
    """What a network gets in evaluation."""
    for batch in loader(rows, BATCH):
        yield normalised(central_view(batch["pixels"], SIZE, CROP), (0.5,), (0.25,))


def training(rows: Rows, epoch: int) -> Iterator[Tensor]:
    """What a network gets in training: crop, rotation, translation, blur, each image its own."""
    order = SeededOrder(len(rows), seed=0)
    order.epoch = epoch
    for batch in loader(rows, BATCH, order):
        draws = torch.rand(len(batch["pixels"]), AUGMENTATION.draws)
        yield normalised(AUGMENTATION.view(batch["pixels"], SIZE, CROP, draws), (0.5,), (0.25,))


def rate(batches: Callable[[], Iterator[object]], count: Callable[[object], int]) -> float:
    """Images a second of one pass."""
    started = time.perf_counter()
    images = sum(map(count, batches()))
    return images / (time.perf_counter() - started)


def main() -> None:
    """See ``input_pipeline.py``."""
    parser = argparse.ArgumentParser(prog="input_pipeline.py", description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # One thread is enough here, and no barrier waits for what else the machine does.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "nih"
        size = write_nih(root, arguments.images, side=1024, films=64)
        each = size / arguments.images / 1e3
        print(f"{arguments.images} PNGs of 1024 px, {each:.0f} kB each, torch {torch.__version__}")
        measure(root, Path(folder), arguments.rounds)


def measure(root: Path, folder: Path, rounds: int) -> None:
    resized, whole = peer(root, resized=True), peer(root, resized=False)
    # Workers start here, and torch warms up.
    next(iter(resized)), next(iter(whole))
    found: dict[str, list[float]] = {}

    def note(name: str, batches: Callable[[], Iterator[object]], count: Callable[[object], int]) -> None:
        found.setdefault(name, []).append(rate(batches, count))

    for round_ in range(rounds):
        note("peer, 224 px", lambda: iter(resized), lambda batch: len(batch["img"]))
        note("peer, decoding alone", lambda: iter(whole), lambda batch: len(batch["img"]))
        data, images = images_of(root, folder / f"results-{round_}")
        started = time.perf_counter()
        images.prepare()
        found.setdefault("filling the cache", []).append(len(data.manifest) / (time.perf_counter() - started))
        rows = Rows.of(data, data.manifest.index, images, images.open())
        for epoch in range(3):
            note("evaluation batches", partial(evaluation, rows), len)
            note("training batches", partial(training, rows, epoch), len)

    medians = {name: statistics.median(rates) for name, rates in found.items()}
    print(f"{'':24}{'images/s':>10}{'against peer':>14}{'its decoding alone':>20}")
    for name, median in medians.items():
        ratios = (median / medians[other] for other in ("peer, 224 px", "peer, decoding alone"))
        print(
            f"{name:24}{median:10,.0f}"
            + "".join(f"{ratio:{width}.1f} ×" for ratio, width in zip(ratios, (12, 18), strict=True))
        )
