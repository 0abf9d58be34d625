"""Whether ``cxrbench predict`` keeps its network busy: files to decisions against the network alone.

Run ``python benchmarks/predict_speed.py``. A network is trained for a moment on drawn 1024 px PNGs in the
layout of NIH ChestX-ray14; then the same files are predicted from the file on, and the network alone is run
on batches of stored pixels, in turns. Images/s of both and the ratio are printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from nih_lookalike import write_nih

from cxrbench.plugins import installed
from cxrbench.predicting.patients import Facts, Patients
from cxrbench.predicting.predictor import AT_ONCE, Predictor
from cxrbench.predicting.reading import ReadImage
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.training.batches import Rows
from cxrbench.training.devices import device_of, true_fp32
from cxrbench.training.inference import logits_of


def trained(root: Path, results: Path, backbone: str, size: int) -> str:
    """A run on the files; what its network has learnt does not matter."""
    command = [sys.executable, "-m", "cxrbench", "run", "--dataset", "nih", "--data-root", str(root)]
    asked = ["--backbone", backbone, "--image-size", str(size), "--weights", "none", "--epochs", "1"]
    few = ["--set", "images_per_role=24", "--results", str(results), "-q"]
    subprocess.run([*command, *asked, *few], check=True, stdout=subprocess.DEVNULL)
    (folder,) = (results / "runs").iterdir()
    return folder.name


def network_alone(predictor: Predictor, pixels: np.ndarray) -> float:
    """Seconds of the network on pixels as they are stored."""
    (trained,) = predictor.composed.networks.values()
    spec, network = trained.spec, trained.network().to(predictor.device)
    if spec.training.channels_last:
        network = network.to(memory_format=torch.channels_last)
    names = list(map(str, range(len(pixels))))
    patients = np.full((len(pixels), 3), 0.5, np.float32)
    rows = Rows(pd.Index(names), patients, pixels, np.arange(len(pixels)), None)
    started = time.perf_counter()
    with true_fp32():
        logits_of(
            network,
            trained.backbone,
            rows,
            image_size=spec.image_size,
            crop=spec.crop,
            batch_size=AT_ONCE // 2,
            channels_last=spec.training.channels_last,
            device=predictor.device,
        )
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--backbone", default="torchvision/densenet121")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    asked = parser.parse_args()
    reporter = Reporter(quiet=True)
    with tempfile.TemporaryDirectory() as name:
        root, results = Path(name) / "data", Path(name) / "results"
        write_nih(root, asked.images, asked.side, films=8)
        run = trained(root, results, asked.backbone, asked.image_size)
        predictor = Predictor.of(
            Store(results, reporter, create=False),
            installed().registry,
            run,
            Patients(Facts()),
            device_of(asked.device),
        )
        files = sorted((root / "images").glob("*.png"))
        read = [predictor.reader(path) for path in files[: 8 * AT_ONCE]]
        some = np.stack(
            [pixels for each in read if isinstance(each, ReadImage) for pixels in each.pixels.values()]
        )
        pixels = np.concatenate([some] * -(-len(files) // len(some)))[: len(files)]
        ratios = []
        for _ in range(asked.rounds):
            started = time.perf_counter()
            predictor.predict(files, reporter)
            whole = time.perf_counter() - started
            alone = network_alone(predictor, pixels)
            ratios.append(alone / whole)
            print(
                f"predict {len(files) / whole:,.1f} images/s, network alone {len(files) / alone:,.1f}: "
                f"{ratios[-1]:.2f}"
            )
        print(
            f"{asked.backbone}, {asked.image_size} px, {len(files)} files: median {np.median(ratios):.2f} x"
        )


if __name__ == "__main__":
    main()
