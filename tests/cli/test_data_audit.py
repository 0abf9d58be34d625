"""``cxrbench data audit``: exit codes, JSON and tables, on odd folders and on the real data."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import invoke
from PIL import Image

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position"
GREY = np.random.default_rng(0).integers(0, 256, (9, 64, 64), dtype=np.uint8)
AGES = ("057Y", "411", "060Y", "009M", "58", "80", "", "old", "44")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """Nine images of nine patients in every format that people have, all readable, with odd ages."""
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    names = [f"{patient:08d}_000.png" for patient in range(9)]
    rows = [
        f"{name},{'Mass|Edema' if number % 2 else 'No Finding'},0,{number},{AGES[number]},M,PA"
        for number, name in enumerate(names)
    ]
    (root / "Data_Entry_2017.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    (root / "train_val_list.txt").write_text("\n".join([*names[:6], "99999999_000.png"]))
    (root / "test_list.txt").write_text("\n".join(names[6:]))
    for name, grey in zip(names, GREY, strict=True):
        Image.fromarray(grey).save(root / "images" / name)
    rgba = np.dstack([GREY[0], GREY[1], GREY[2], GREY[3]])
    Image.fromarray(rgba, "RGBA").save(root / "images" / names[0])
    Image.fromarray(GREY[1]).convert("P").save(root / "images" / names[1])
    Image.fromarray(GREY[2].astype(np.uint16) * 257).save(root / "images" / names[2])
    return root


def audit(root: Path, *arguments: object):
    return invoke("data", "audit", "--dataset", "nih", "--data-root", root, *arguments)


def kinds(document):
    return {problem["kind"]: problem for problem in document["problems"]}


def test_odd_but_readable_files_are_clean(odd):
    answer = audit(odd, "--json")
    assert answer.exit_code == 0
    assert answer.json["clean"]
    assert answer.json["listed"] == {"train_val": 7, "test": 3}
    assert answer.json["present"] == {"train_val": 6, "test": 3}
    assert answer.json["shared_patients"] == 0
    assert sum(answer.json["age"]["unknown"].values()) == 3
    assert kinds(answer.json)["implausible_age"]["count"] == 2
    assert answer.json["label_version"].startswith("Data_Entry_2017.csv ")
    assert not any(problem["serious"] for problem in answer.json["problems"])


def test_damaged_files_are_found_named_and_written_as_an_exclude_list(odd, tmp_path):
    images = sorted((odd / "images").iterdir())
    images[3].write_bytes(images[3].read_bytes()[:200])
    images[4].write_bytes(b"")
    images[5].write_text("<html>Too many requests</html>")
    listed = tmp_path / "damaged.txt"
    answer = audit(odd, "--json", "--write-exclude", listed)
    assert answer.exit_code == 1
    damaged = [path.name for path in images[3:6]]
    assert kinds(answer.json)["damaged_images"] == {
        "kind": "damaged_images",
        "count": 3,
        "examples": damaged,
        "serious": True,
    }
    assert list(answer.json["pixels"]["damaged"]) == damaged
    assert listed.read_text() == "".join(f"{name}\n" for name in damaged)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["damaged.txt"]
    again = audit(odd, "--json", "--exclude", listed)
    assert again.exit_code == 0
    assert sum(role["images"] for role in again.json["roles"].values()) == 6
    images[6].write_bytes(b"")
    both = tmp_path / "both.txt"
    assert audit(odd, "--json", "--exclude", listed, "--write-exclude", both).exit_code == 1
    assert both.read_text().split() == [*damaged, images[6].name]
    listed.write_text("00000003_000\n")
    refused = audit(odd, "--exclude", listed)
    assert refused.exit_code == 2
    assert "--exclude names no image at hand" in refused.stderr


def add_rows(root: Path, *rows: str) -> None:
    table = root / "Data_Entry_2017.csv"
    table.write_text(table.read_text() + "".join(f"{row}\n" for row in rows))


def test_rows_that_repeat_or_are_not_needed_are_notes(odd):
    add_rows(
        odd,
        "00000001_000.png,Mass|Edema,0,1,411,M,PA",
        "00000008_000.png,,0,8,44,M,PA",
        "77777777_000.png,Hernia,0,7,44,M,PA",
    )
    Image.fromarray(GREY[0]).save(odd / "images" / "88888888_000.png")
    answer = audit(odd, "--json")
    assert answer.exit_code == 0
    found = {kind: problem["count"] for kind, problem in kinds(answer.json).items()}
    assert found == {"implausible_age": 2, "duplicate_rows": 1, "incomplete_rows": 1, "unlisted_images": 1}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("00000001_000.png,Hernia,0,1,411,M,PA", "label_conflict"),
        ("00000001_000.png,Mass|Edema,0,2,411,M,PA", "row_conflict"),
    ],
)
def test_rows_that_contradict_each_other_are_serious(odd, row, kind):
    add_rows(odd, row)
    answer = audit(odd, "--json", "--no-images")
    assert answer.exit_code == 1
    assert kinds(answer.json)[kind]["examples"] == ["00000001_000.png"]


def test_a_label_that_is_none_is_serious(odd):
    table = odd / "Data_Entry_2017.csv"
    table.write_text(table.read_text().replace("Mass|Edema", "Mass|Eczema", 1))
    answer = audit(odd)
    assert answer.exit_code == 1
    assert answer.stdout.splitlines()[-1] == "Not clean: unknown label (1); 9 image files were read."


def test_tables_say_what_is_wrong_and_what_to_do(odd):
    images = sorted((odd / "images").iterdir())
    images[4].write_bytes(b"")
    images[8].write_bytes(images[7].read_bytes())
    answer = audit(odd)
    assert answer.exit_code == 1
    words = " ".join(answer.stdout.split())
    assert "train_val 7 6" in words
    assert "Mass" in words
    assert "duplicate images serious 2 00000007_000.png, 00000008_000.png one image in several roles" in words
    assert f"damaged: {images[4].name} has zero bytes" in words
    last = answer.stdout.splitlines()[-1]
    assert last == "Not clean: damaged images (1), duplicate images (2); 9 image files were read."


def test_without_a_look_at_images_their_damage_is_not_seen(odd):
    sorted((odd / "images").iterdir())[4].write_bytes(b"")
    answer = audit(odd, "--no-images")
    assert answer.exit_code == 0
    assert answer.stdout.splitlines()[-1] == "Clean; image files were not looked at."
    assert audit(odd, "--no-images", "--json").json["pixels"] is None


def test_leaves_nothing_in_the_working_folder(odd, tmp_path, monkeypatch):
    empty = tmp_path / "cwd"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert audit(odd).exit_code == 0
    assert not list(empty.iterdir())


def test_labels_laid_over_are_counted(odd, tmp_path):
    overlay = tmp_path / "panel.csv"
    overlay.write_text("image_id,Mass\n00000000_000.png,1\n")
    before, after = (audit(odd, "--json", "--no-images", *more).json for more in ((), ("--labels", overlay)))
    mass = [sum(document["findings"]["Mass"].values()) for document in (before, after)]
    assert mass == [4, 5]
    assert before["label_version"] != after["label_version"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-images", "--write-exclude", "x.txt"), "leave out --no-images"),
        (("--write-exclude", "no/such/folder/x.txt"), "There is no folder"),
        (("--exclude", "x.txt", "--write-exclude", "x.txt"), "give another file"),
        (("--exclude", "absent.txt"), "There is no file absent.txt"),
        (("--sampler", "limitt"), "limit"),
    ],
)
def test_what_cannot_be_done_is_refused_before_work(odd, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    answer = audit(odd, *arguments)
    assert answer.exit_code == 2
    assert message in answer.stderr


def test_the_phantom_is_clean_by_default():
    answer = invoke("data", "audit", "--json")
    assert answer.exit_code == 0
    assert answer.json["problems"] == []


@pytest.fixture(scope="module")
def subset() -> Path:
    """The real data; skips where they are absent."""
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    if not (data / "nih_subset").is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    return data / "nih_subset"


def test_the_real_subset_is_clean(subset):
    answer = audit(subset, "--json")
    assert answer.exit_code == 0
    assert answer.json["listed"] == {"train_val": 86524, "test": 25596}
    assert answer.json["present"] == {"train_val": 1378, "test": 227}
    assert answer.json["shared_patients"] == 0
    assert answer.json["pixels"]["images"] == 1605
    assert not any(problem["serious"] for problem in answer.json["problems"])


def test_a_split_by_image_leaks_patients(subset):
    answer = audit(subset, "--json", "--no-images", "--split", "image")
    assert answer.exit_code == 1
    assert answer.json["shared_patients"] == sum(answer.json["shared_by_roles"].values()) > 0
    assert kinds(answer.json)["shared_patients"]["serious"]
