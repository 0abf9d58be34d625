"""A folder in the layout of NIH ChestX-ray14, its films drawn on the spot by the embedded data set."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cxrbench.datasets.phantom import Phantom

TABLE = "Data_Entry_2017_v2020.csv"
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
FINDINGS = ("No Finding", "Infiltration", "Effusion|Cardiomegaly", "Atelectasis", "Mass|Nodule")
GRAIN = 0.8
"""Standard deviation in grey levels; with it, 1024 px PNGs have some 400 kB, as NIH's have."""
TEST_SHARE = 0.23
IMAGES_A_PATIENT = 4


def write_nih(root: Path, images: int, side: int, films: int) -> int:
    """Write tables and PNGs, no two alike though only ``films`` are drawn; gives the PNGs' bytes."""
    folder = root / "images"
    folder.mkdir(parents=True)
    patients = [number // IMAGES_A_PATIENT for number in range(images)]
    names = [f"{patient:08d}_{n % IMAGES_A_PATIENT:03d}.png" for n, patient in enumerate(patients)]
    rows = [
        f"{name},{FINDINGS[n % len(FINDINGS)]},0,{patient},{20 + patient % 70},{'MF'[patient % 2]},PA,1,1,1,1"
        for n, (name, patient) in enumerate(zip(names, patients, strict=True))
    ]
    (root / TABLE).write_text("\n".join([HEADER, *rows]) + "\n")
    first_test = round(images * (1 - TEST_SHARE)) // IMAGES_A_PATIENT * IMAGES_A_PATIENT
    (root / "train_val_list.txt").write_text("\n".join(names[:first_test]) + "\n")
    (root / "test_list.txt").write_text("\n".join(names[first_test:]) + "\n")
    shares = [range(part, images, 64) for part in range(64)]
    with ProcessPoolExecutor(2) as pool:
        return sum(pool.map(partial(_write_films, folder, names, side, films), shares))


def _write_films(folder: Path, names: list[str], side: int, films: int, numbers: Iterable[int]) -> int:
    phantom, drawn = Phantom(), {}
    ids = phantom.read(None).manifest.index
    written = 0
    for number in numbers:
        film = number % films
        if film not in drawn:
            image = Image.fromarray(phantom.pixels(None, ids[film], min(side, 512)))
            drawn[film] = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)
        grain = np.random.default_rng(number).normal(0, GRAIN, (side, side))
        path = folder / names[number]
        Image.fromarray((drawn[film] + grain).clip(0, 255).astype(np.uint8)).save(path)
        written += path.stat().st_size
    return written
