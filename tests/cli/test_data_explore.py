"""``cxrbench data explore``: files, JSON and table, on the phantom and on the real data."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
from conftest import PHANTOM, invoke, tree
from PIL import Image

from cxrbench.datasets.phantom import Phantom

FIGURES = ("findings", "numbers", "together", "sex", "age", "view", "roles", "samples")


def explore(out, *arguments, dataset=PHANTOM):
    return invoke("data", "explore", "--dataset", dataset, "--out", out, *arguments)


def test_writes_a_page_figures_and_tables(tmp_path):
    out = tmp_path / "new" / "folder"
    answer = explore(out, "--json", "--images", 1, "--format", "png", "--format", "pdf")
    assert answer.exit_code == 0
    figures = {f"{name}.{form}" for name in FIGURES for form in ("png", "pdf")}
    names = {"explore.html", "findings.csv", "pairs.csv", *figures}
    assert {path.name for path in out.iterdir()} == names
    assert {Path(path).name for path in answer.json["files"]} == names
    assert answer.json["path"] == str(out / "explore.html")
    for name in FIGURES:
        with Image.open(out / f"{name}.png") as figure:
            assert figure.format == "PNG"
            low, high = figure.convert("L").getextrema()
            assert low < 100 < 250 < high
        assert (out / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    table = pd.read_csv(out / "findings.csv")
    written = {finding["finding"]: finding for finding in answer.json["findings"]}
    assert list(table["finding"]) == list(written)
    assert list(table["images"]) == [finding["images"] for finding in written.values()]
    audited = invoke("data", "audit", "--dataset", PHANTOM, "--json", "--no-images").json
    for finding, roles in audited["findings"].items():
        assert {role: written[finding][role] for role in roles} == roles


def test_the_same_each_time_and_only_its_own_files_are_replaced(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    arguments = ("--images", 0, "--format", "svg", "--format", "svg")
    explore(tmp_path, *arguments)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name.rpartition(".")[2] for name in first} == {"html", "csv", "svg", "txt"}
    assert first["sex.svg"].startswith(b"<?xml")
    explore(tmp_path, *arguments)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_the_table_for_the_terminal(tmp_path):
    answer = explore(tmp_path, "--images", 0)
    assert answer.exit_code == 0
    assert answer.stdout.startswith("phantom (drawn images, not patients): exploration; labels ")
    rows = {line.split()[0]: line.split() for line in answer.stdout.splitlines() if line}
    findings = pd.read_csv(tmp_path / "findings.csv").set_index("finding")
    assert rows["Effusion"][1] == str(findings.at["Effusion", "images"])
    assert "labels of all roles are counted, nothing is fitted" in " ".join(answer.stdout.split())
    assert not (tmp_path / "samples.png").exists()


def test_the_page_says_what_was_looked_at(tmp_path):
    explore(tmp_path, "--images", 0)
    page = " ".join((tmp_path / "explore.html").read_text(encoding="utf-8").split())
    assert "Images of all roles are counted, test too" in page
    assert "figures are of the drawing, not of patients" in page
    assert "No image of train is shown." in page


def test_what_is_left_out_is_not_counted(tmp_path):
    manifest = Phantom(train_val=240, test=80).read(None).manifest
    (tmp_path / "out.txt").write_text("\n".join(manifest.index[:7]))
    answer = explore(tmp_path / "out", "--json", "--images", 0, "--exclude", tmp_path / "out.txt")
    assert answer.json["everyone"]["images"] == len(manifest) - 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--exclude", "absent.txt"), "There is no file absent.txt"),
        (("--format", "gif"), "gif"),
        (("--images", "13"), "13"),
        (("--sampler", "limitt"), "limit"),
    ],
)
def test_what_cannot_be_done_is_refused_and_writes_nothing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    answer = explore("out", *arguments)
    assert answer.exit_code == 2
    assert message in answer.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def subset() -> Path:
    """The real data; skips where they are absent."""
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    if not (data / "nih_subset").is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    return data / "nih_subset"


def test_the_real_subset(subset, tmp_path):
    before = tree(subset)
    answer = explore(tmp_path, "--data-root", subset, "--json", "--images", 1, dataset="nih")
    assert answer.exit_code == 0
    document = answer.json
    assert document["everyone"]["images"] == 1605
    assert document["everyone"]["boxes"] == 60
    assert sum(document["labels_per_image"]["all"].values()) == 1605
    assert set(map(len, document["samples"].values())) == {1}
    assert tree(subset) == before


def test_damaged_samples_are_told(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "sound.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "t.csv").write_text("image,labels,role\nsound.png,Mass,train\nempty.png,Mass,train\n")
    dataset = ("--data-root", tmp_path, "--json", "--images", 2)
    answer = explore(tmp_path / "out", *dataset, dataset="csv:table=t.csv")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["damaged"] == {"empty.png": "has zero bytes"}
    assert answer.json["samples"]["Mass"] == ["sound.png"]
    assert "empty.png (has zero bytes)" in " ".join(answer.stderr.split())
    page = (tmp_path / "out" / "explore.html").read_text(encoding="utf-8")
    assert "<code>empty.png</code> (has zero bytes)" in page
