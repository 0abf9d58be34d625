"""A reader's desk: all that a page takes for granted before its first line is typed.

A home with NIH's folder, files of the names that pages use, and a store with three small runs. Where a page
shows the first lines of a CSV file, the file begins with them, and goes on with rows of the same columns.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from conftest import invoke
from PIL import Image
from radiographs import content, dicom
from safetensors.torch import save_file
from snippets import ROOT, Page, blocks

from cxrbench.datasets.phantom import Phantom
from cxrbench.findings import NIH_FINDINGS

sys.path.insert(0, str(ROOT / "benchmarks"))
from nih_lookalike import TABLE, write_nih

_RUNS = (
    ("--backbone", "densenet_fpn"),
    ("--backbone", "timm/test_resnet"),
    ("--backbone", "timm/test_resnet", "--seed", "1"),
)
"""The runs that ``RUN`` stands for, in this order."""

_SIDE = 64


@dataclass(frozen=True)
class Desk:
    """Where a page is typed.

    Attributes:
        home: what ``~`` is.
        here: the folder.
        runs: ids of the runs in its store.
        images: ids of test images of these runs that have findings.
    """

    home: Path
    here: Path
    runs: tuple[str, ...]
    images: tuple[str, ...]

    def laid_for(self, page: Page, here: Path) -> Desk:
        """A copy for a page, with the files that the page shows."""
        shutil.copytree(self.here, here, copy_function=_copied)
        for block in blocks(page):
            if block.title:
                path = here / block.title
                path.parent.mkdir(parents=True, exist_ok=True)
                more = _rows_like(block.text, _MORE[block.title](here)) if block.language == "csv" else ""
                path.write_text(block.text + more, encoding="utf-8")
        return Desk(self.home, here, self.runs, self.images)


def make_desk(root: Path) -> Desk:
    """Write it all."""
    home, here = root / "home", root / "here"
    nih, films = home / "ChestX-ray14", home / "films"
    home.mkdir()
    here.mkdir()
    write_nih(nih, images=240, side=_SIDE, films=60)
    tests = (nih / "test_list.txt").read_text().split()
    boxes = [f"{name},Cardiomegaly,10,12,20,18,,," for name in tests[2::5]]
    head = "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    (nih / "BBox_List_2017.csv").write_text(head + "\n".join(boxes))
    _write_films(films)
    _write_scores(here, nih, tests)
    _write_images(here)
    _write_for_plugins(here)
    for given in _RUNS:
        answer = invoke("run", *given, "--smoke", "--results", here / "results", "--quiet")
        assert answer.exit_code == 0, answer.stderr
    runs = sorted(here.glob("results/runs/*"))
    record = json.loads((runs[0] / "run.json").read_text())
    shutil.copy(here / "results" / record["weights"], here / "weights.safetensors")
    return Desk(home, here, tuple(run.name for run in runs), _images_with_findings(here))


def _write_films(folder: Path) -> None:
    """Images for a table of one's own."""
    phantom = Phantom()
    ids = phantom.read(None).manifest.index
    (folder / "a").mkdir(parents=True)
    for number in range(50):
        path = f"{number:04d}.png" if number < 40 else f"a/{number - 40:04d}.png"
        Image.fromarray(phantom.pixels(None, ids[number], _SIDE)).save(folder / path)


def _write_scores(here: Path, nih: Path, tests: list[str]) -> None:
    """Predictions of others for NIH's images, of several formats and names."""
    shutil.copy(nih / TABLE, here)
    table = pd.read_csv(nih / TABLE)
    labels = pd.DataFrame({name: table["Finding Labels"].str.contains(name) * 1 for name in NIH_FINDINGS})
    labels.insert(0, "image_id", table["Image Index"])
    labels.insert(1, "patient_id", table["Patient ID"])
    labels.to_csv(here / "labels.csv", index=False)
    rng = np.random.default_rng(0)
    others = [name for name in table["Image Index"] if name not in tests]
    files = {"theirs": tests, "preds": tests, "test_preds": tests, "val_preds": others[-60:]}
    for name, ids in files.items():
        scores = pd.DataFrame(rng.uniform(size=(len(ids), len(NIH_FINDINGS))), columns=list(NIH_FINDINGS))
        scores.insert(0, "Image Index", ids)
        scores.to_csv(here / f"{name}.csv", index=False)
    known = labels.set_index("image_id").loc[tests]
    for seed in (0, 1):
        np.savez(
            here / f"densenet121_seed{seed}.npz",
            logits=rng.normal(size=(len(tests), len(NIH_FINDINGS))),
            labels=known[list(NIH_FINDINGS)].to_numpy(),
            patients=known["patient_id"].to_numpy(),
        )


def _write_images(here: Path) -> None:
    """Images to predict on, as PNG and DICOM."""
    pixels = Phantom().pixels(None, Phantom().read(None).manifest.index[0], _SIDE)
    for path in ("more.png", "scans/b.png", "pngs/a.png", "pngs/b.png", "pngs/c.png"):
        (here / path).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(here / path)
    for path in ("scan.dcm", "scans/a.dcm"):
        (here / path).write_bytes(content(dicom(pixels)))


def _write_for_plugins(here: Path) -> None:
    """Files of MedMNIST and weights of torchxrayvision, as their publishers write them."""
    rng = np.random.default_rng(0)
    for name, side in {"chestmnist": 28, "chestmnist_64": 64}.items():
        arrays = {}
        for role, count in {"train": 240, "val": 40, "test": 90}.items():
            arrays[f"{role}_images"] = rng.integers(0, 256, (count, side, side), dtype=np.uint8)
            arrays[f"{role}_labels"] = (np.arange(count)[:, None] % (3 + np.arange(14)) == 0).astype(np.uint8)
        np.savez(here / f"{name}.npz", **arrays)
    if find_spec("cxrbench_torchxrayvision"):
        import torchxrayvision as xrv

        save_file(xrv.models.DenseNet(num_classes=18).state_dict(), here / "nih.safetensors")


def _images_with_findings(here: Path) -> tuple[str, ...]:
    predicted = next(here.glob("results/artifacts/evaluate/*/decisions.parquet"))
    ids = pd.read_parquet(predicted)["image_id"]
    labels = Phantom(train_val=600, test=200).read(None).labels.loc[ids]
    return tuple(labels.index[labels.sum(axis=1) > 0])


def _copied(source: str, target: str) -> None:
    """Weights are large, and nothing changes them where they are."""
    if source.endswith(".safetensors"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _rows_like(begun: str, rows: Iterable[dict[str, Any]]) -> str:
    """Rows of the columns that a CSV file begins with."""
    (head, *shown) = csv.reader(io.StringIO(begun))
    assert all(len(row) == len(head) for row in shown)
    text = io.StringIO()
    writer = csv.DictWriter(text, head, lineterminator="\n")
    writer.writerows(rows)
    return text.getvalue()


def _of_nih(here: Path) -> Iterable[dict[str, Any]]:
    scores = pd.read_csv(here / "theirs.csv", dtype={"Image Index": str})
    return scores.to_dict("records")


def _ours(here: Path) -> Iterable[dict[str, Any]]:
    roles = ("train", "train", "validate", "tune", "test")
    for number in range(40):
        patient = number // 2
        yield {
            "path": f"{number:04d}.png",
            "subject": f"q{patient}",
            "years": 30 + patient,
            "sex": "FM"[patient % 2],
            "view": "PA",
            "split": roles[patient % len(roles)],
            "effusion": number % 3 % 2,
            "fx": (1, 0, "")[number % 3],
        }


_MORE: dict[str, Callable[[Path], Iterable[dict[str, Any]]]] = {
    "ours.csv": _ours,
    "preds.csv": _of_nih,
    "adjudicated.csv": lambda here: (),
    "pngs/patients.csv": lambda here: (),
}
"""How the CSV files go on that pages show the beginning of."""
