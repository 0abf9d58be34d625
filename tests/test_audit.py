"""Audits of made-up collections: counts by hand, leaks, and duplicates by what images show."""

from __future__ import annotations

import io
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxrbench.audit import Audit, audit, look_at
from cxrbench.collection import BOX_COLUMNS, MANIFEST_COLUMNS, Collection, Problem
from cxrbench.datasets.nih import Nih
from cxrbench.datasets.phantom import Phantom
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES
from cxrbench.selection import Selection
from cxrbench.task import Task

NAN = float("nan")
QUIET = Reporter(quiet=True)
GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
ROWS = {
    "a0": ("a", 17.9, "F", "PA", "train_val", "train"),
    "a1": ("a", 18.0, "F", "AP", "train_val", "train"),
    "b0": ("b", 80.0, "M", None, "train_val", "val"),
    "c0": ("c", NAN, None, "PA", None, "tune"),
    "d0": ("d", 0.0, "M", "PA", "test", "test"),
}
LABELS = {"a0": (1, 1), "a1": (0, 0), "b0": (0, 1), "c0": (NAN, 0), "d0": (1, 0)}


def collection(rows=ROWS, labels=LABELS, **fields):
    """Patients with roles of their own; each image's source is its id."""
    values = [(*row, image_id) for image_id, row in rows.items()]
    index = pd.Index(list(rows), name="image_id", dtype="str")
    manifest = pd.DataFrame(values, index=index, columns=list(MANIFEST_COLUMNS))
    table = pd.DataFrame([labels.get(i, (0, 0)) for i in rows], index=index, columns=["Mass", "Edema"])
    given = {"listed": {"train_val": 7, "test": 2}, **fields}
    return Collection(
        name="made up",
        task=Task("multilabel", ("Mass", "Edema")),
        manifest=manifest,
        labels=table.astype("float32"),
        boxes=pd.DataFrame(columns=list(BOX_COLUMNS)),
        label_version="v1",
        **given,
    )


def audited(whole, selection=None, pixels=None) -> Audit:
    return audit(whole, (selection or Selection()).of(whole), pixels)


def problems(found):
    return {problem.kind: problem for problem in found.problems}


def test_counts_by_hand():
    found = audited(collection())
    assert found.listed == {"train_val": 7, "test": 2}
    assert found.present == {"train_val": 3, "test": 1}
    assert found.images == {"train": 2, "val": 1, "tune": 1, "test": 1}
    assert found.patients == {"train": 1, "val": 1, "tune": 1, "test": 1}
    assert found.findings == {
        "Mass": {"train": 1, "val": 0, "tune": 0, "test": 1},
        "Edema": {"train": 1, "val": 1, "tune": 0, "test": 0},
        "No Finding": {"train": 1, "val": 0, "tune": 0, "test": 0},
    }
    totals = {name: sum(counts.values()) for name, counts in found.age.items()}
    assert totals == {"0-17": 2, "18-39": 1, "40-59": 0, "60-79": 0, "80+": 1, "unknown": 1}
    assert found.sex["unknown"] == {"train": 0, "val": 0, "tune": 1, "test": 0}
    assert found.view["AP"] == {"train": 1, "val": 0, "tune": 0, "test": 0}
    assert [p.kind for p in found.problems] == ["missing_labels"]
    assert problems(found)["missing_labels"].examples == ("c0",)
    assert found.clean


@pytest.mark.parametrize("values", ["sex", "age", "view"])
def test_every_image_is_counted_once(values):
    whole = Phantom(train_val=120, test=40).read(None)
    found = audited(whole)
    roles = Counter(Selection().of(whole).roles)
    counts = getattr(found, values).values()
    assert {role: sum(row[role] for row in counts) for role in ROLES} == {r: roles[r] for r in ROLES}


def test_patients_shared_between_roles_are_a_leak():
    rows = {**ROWS, "a2": ("a", 20.0, "F", "PA", "test", "test"), "a3": ("a", 20.0, "F", "PA", "x", "val")}
    rows["a3"] = (*rows["a3"][:4], None, "val")
    found = audited(collection(rows))
    assert found.shared == dict.fromkeys(found.shared, 0) | {
        "train/val": 1,
        "train/test": 1,
        "val/test": 1,
    }
    assert found.shared_patients == 3
    assert problems(found)["shared_patients"].count == 1
    assert problems(found)["shared_patients"].examples == ("a",)
    assert not found.clean


def test_what_reading_found_is_reported_and_decides():
    note, conflict = (
        Problem("duplicate_rows", ("a0", "a1")),
        Problem("label_conflict", ("b0",), serious=True),
    )
    assert audited(collection(problems=(note,))).clean
    found = audited(collection(problems=(note, conflict)))
    assert not found.clean
    assert found.problems[:2] == (conflict, note)


def test_excluded_images_are_left_out_but_present():
    found = audited(collection(), Selection(exclude=frozenset({"a0", "stranger"})))
    assert found.present == {"train_val": 3, "test": 1}
    assert found.images["train"] == 1
    assert any("excluded by name: 1" in note for note in found.notes)


@pytest.fixture
def files(tmp_path):
    """Different images for all rows."""
    for number, name in enumerate(ROWS):
        Image.fromarray(GREY + number).save(tmp_path / name, format="PNG")
    return tmp_path


def looked_at(whole, root):
    return audited(whole, pixels=look_at(Nih(), root, whole.manifest, QUIET))


def test_images_that_differ_are_no_problem(files):
    found = looked_at(collection(), files)
    assert found.pixels.images == 5
    assert not found.pixels.damaged
    assert not found.pixels.duplicates
    assert found.clean


def test_the_same_picture_in_another_file_format_is_a_duplicate(files):
    Image.fromarray(GREY).save(files / "d0", format="TIFF")
    found = looked_at(collection(), files)
    assert found.pixels.duplicates == (("a0", "d0"),)
    assert problems(found)["duplicate_images"] == Problem("duplicate_images", ("a0", "d0"), serious=True)
    assert not found.clean


def test_a_picture_of_another_shape_is_none(files):
    Image.fromarray(GREY.reshape(8, 6)).save(files / "d0", format="PNG")
    assert not looked_at(collection(), files).pixels.duplicates


def test_one_picture_of_two_patients_in_one_role_is_serious(files):
    whole = collection({**ROWS, "e0": ("e", 30.0, "F", "PA", "train_val", "train")})
    Image.fromarray(GREY).save(files / "e0", format="PNG")
    assert not looked_at(whole, files).clean


def test_one_picture_twice_of_one_patient_in_one_role_is_a_note(files):
    Image.fromarray(GREY).save(files / "a1", format="PNG")
    found = looked_at(collection(), files)
    assert problems(found)["repeated_images"] == Problem("repeated_images", ("a0", "a1"))
    assert found.clean


def png():
    file = io.BytesIO()
    Image.fromarray(np.tile(GREY, (40, 40))).save(file, format="PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "zero bytes"),
        (png()[:-100], "truncated"),
        (b"Not found", "not an image"),
        (None, "cannot be read"),
    ],
)
def test_damage_is_named_and_hides_no_other_image(files, content, what):
    (files / "b0").unlink()
    (files / "b0").mkdir() if content is None else (files / "b0").write_bytes(content)
    found = looked_at(collection(), files)
    assert list(found.pixels.damaged) == ["b0"]
    assert what in found.pixels.damaged["b0"]
    assert problems(found)["damaged_images"] == Problem("damaged_images", ("b0",), serious=True)


def test_a_file_that_needs_another_package_hides_no_other_image(files, monkeypatch):
    (files / "b0").write_bytes(bytes(128) + b"DICM" + bytes(100))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    found = looked_at(collection(), files)
    assert found.pixels.images == 5
    assert "pip install" in found.pixels.damaged["b0"]
    assert list(found.pixels.damaged) == ["b0"]


def test_a_problem_of_images_that_are_excluded_is_none():
    whole = collection(problems=(Problem("label_conflict", ("b0",), serious=True),))
    assert not audited(whole).clean
    assert audited(whole, Selection(exclude=frozenset({"b0"}))).clean


def test_a_file_that_is_gone_counts_as_damaged(files):
    (files / "b0").unlink()
    assert "missing" in looked_at(collection(), files).pixels.damaged["b0"]


def test_drawn_images_have_no_files():
    whole = Phantom(train_val=12, test=4).read(None)
    pixels = look_at(Phantom(train_val=12, test=4), None, whole.manifest, QUIET)
    assert (pixels.images, pixels.damaged, pixels.duplicates) == (0, {}, ())
