"""Files as MedMNIST's: the same names, arrays and types, with drawn images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from cxrbench_medmnist.dataset import MedMnist
from PIL import Image

from cxrbench.cli.main import main
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.plugins import installed
from cxrbench.sources import read_source
from cxrbench.testing import checks_for

COUNTS = {"train": 240, "val": 40, "test": 90}


def arrays(classes=14, size=28, dtype=np.uint8, counts=COUNTS):
    """What ``chestmnist.npz`` holds, of few images: a finding is a bright row of the image."""
    # Labels do not depend on the size, as in MedMNIST.
    draw, draw_images, found = np.random.default_rng(0), np.random.default_rng(1), {}
    for split, count in counts.items():
        labels = (draw.random((count, classes)) < 0.3).astype(dtype)
        images = draw_images.integers(0, 90, (count, size, size), dtype=np.uint8)
        step = size // classes
        for image, row in zip(images, labels, strict=True):
            for place in np.flatnonzero(row):
                image[place * step : (place + 1) * step] += 120
        found |= {f"{split}_images": images, f"{split}_labels": labels}
    return found


@pytest.fixture
def root(tmp_path):
    np.savez_compressed(tmp_path / "chestmnist.npz", **arrays())
    np.savez(tmp_path / "chestmnist_64.npz", **arrays(size=64))
    np.savez_compressed(tmp_path / "pneumoniamnist.npz", **arrays(classes=1, dtype=np.int64))
    return tmp_path


def test_it_is_installed_and_loads_nothing_heavy():
    (family,) = [c for c in installed().registry.all() if c.name == "medmnist/*"]
    assert family.source.startswith("cxrbench-medmnist ")
    asked = "import sys, cxrbench_medmnist; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("name", "options"), [("chestmnist", {}), ("chestmnist", {"size": 64}), ("pneumoniamnist", {})]
)
@pytest.mark.parametrize("check", checks_for("dataset"), ids=str)
def test_conformance(check, name, options, root):
    check.run(installed().registry.find("dataset", f"medmnist/{name}"), options, root)


def test_images_and_labels_are_those_of_numpy(root):
    stored = dict(np.load(root / "chestmnist.npz", allow_pickle=False))
    dataset = MedMnist(name="chestmnist")
    found = dataset.read(root)
    assert found.task.classes == NIH_FINDINGS
    for split, count in COUNTS.items():
        mine = found.manifest.index[found.manifest.index.str.startswith(f"{split}_")]
        assert len(mine) == count
        assert set(found.manifest.loc[mine, "official"]) == {"test" if split == "test" else "train_val"}
        np.testing.assert_array_equal(found.labels.loc[mine].to_numpy(), stored[f"{split}_labels"])
        for row in (0, count - 1):
            content = read_source(root, found.manifest.at[mine[row], "source"])
            np.testing.assert_array_equal(
                dataset.pixels(content, mine[row], 28), stored[f"{split}_images"][row]
            )
    assert found.listed == {"train_val": 280, "test": 90}
    assert any("names no patients" in note for note in found.notes)


def test_sizes_are_of_one_test_set(root):
    small, large = (MedMnist(name="chestmnist", size=size).read(root) for size in (28, 64))
    assert small.label_version == large.label_version
    assert list(small.manifest.index) == list(large.manifest.index)


def test_a_file_of_an_image_is_decoded_too(tmp_path):
    grey = np.arange(784, dtype=np.uint8).reshape(28, 28)
    Image.fromarray(grey).save(tmp_path / "x.png")
    found = MedMnist(name="chestmnist").pixels((tmp_path / "x.png").read_bytes(), "x.png", 28)
    np.testing.assert_array_equal(found, grey)


def test_what_is_wrong_with_a_file_is_said(root):
    with pytest.raises(UsageError, match="did you mean medmnist/chestmnist"):
        MedMnist(name="chestmnst")
    with pytest.raises(UsageError, match="no images of 100 px; there are 28, 64, 128, 224"):
        MedMnist(name="chestmnist", size=100)
    with pytest.raises(UsageError, match=r"needs --data-root DIR, the folder of chestmnist\.npz"):
        MedMnist(name="chestmnist").read(None)
    with pytest.raises(CxrbenchError, match=r"chestmnist_128.npz; download it"):
        MedMnist(name="chestmnist", size=128).read(root)
    np.savez(root / "chestmnist_128.npz", **arrays(size=64))
    with pytest.raises(CxrbenchError, match=r"images \[240, 64, 64\] in train, not those of"):
        MedMnist(name="chestmnist", size=128).read(root)
    (root / "chestmnist_224.npz").write_bytes(b"cut short")
    with pytest.raises(CxrbenchError, match="download it again"):
        MedMnist(name="chestmnist", size=224).read(root)
    pickled = arrays() | {"train_labels": np.array([object()], dtype=object)}
    np.savez(root / "chestmnist.npz", **pickled)
    with pytest.raises(CxrbenchError, match="cannot be read"):
        MedMnist(name="chestmnist").read(root)


def cxrbench(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def run(root, results, *more):
    network = ("--backbone", "timm/test_resnet", "--epochs", 2, "--weights", "none")
    line = ("run", "--data-root", root, *network, "--results", results, "--json", *more)
    done = cxrbench(*line)
    assert done.exit_code == 0, done.output
    (record,) = json.loads(done.stdout)["runs"]
    return record


def test_a_network_is_trained_on_it_and_stands_on_the_board(root, tmp_path):
    results = tmp_path / "results"
    small = run(root, results, "--dataset", "medmnist/chestmnist")
    assert small["passport"]["dataset"] == "ChestMNIST"
    assert small["passport"]["images"]["test"] == 90
    assert small["spec"]["image_size"] == 64
    assert any("names no patients" in note for note in small["notes"])
    large = run(root, results, "--dataset", "medmnist/chestmnist:size=64")
    assert large["passport"]["id"] == small["passport"]["id"]
    pneumonia = run(root, results, "--dataset", "medmnist/pneumoniamnist")
    assert [row["finding"] for row in pneumonia["per_finding"]] == ["Pneumonia"]
    assert cxrbench("verify", "--roles", "--results", results).exit_code == 0

    # Pixels are known by their content: the same file elsewhere trains nothing again.
    other = tmp_path / "elsewhere"
    other.mkdir()
    np.savez(other / "chestmnist.npz", **arrays())
    again = cxrbench(
        "run",
        "--data-root",
        other,
        "--dataset",
        "medmnist/chestmnist",
        "--backbone",
        "timm/test_resnet",
        "--epochs",
        2,
        "--weights",
        "none",
        "--results",
        results,
        "--json",
    )
    assert json.loads(again.stdout)["trainings"] == 0
    assert [Path(each["path"]).name for each in json.loads(again.stdout)["runs"]] == [small["run_id"]]
