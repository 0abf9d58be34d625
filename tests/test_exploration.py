"""Explorations of made-up collections counted by hand, and of larger ones against pandas."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrbench.collection import BOX_COLUMNS, MANIFEST_COLUMNS, Collection
from cxrbench.datasets.nih import Nih
from cxrbench.datasets.phantom import Phantom
from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.exploration import SIDE, explore, samples_of
from cxrbench.findings import NO_FINDING
from cxrbench.roles import ROLES
from cxrbench.selection import Selection
from cxrbench.task import Task

NAN = float("nan")
CLASSES = ("Mass", "Edema", "Hernia")
ROWS = {
    # patient, age, sex, view, official, role: Mass, Edema, Hernia
    "a0": (("a", 20.0, "F", "PA", None, "train"), (1, 1, 0)),
    "a1": (("a", 30.0, "F", "AP", None, "train"), (1, 0, 0)),
    "a2": (("a", NAN, "F", None, None, "train"), (0, 0, 0)),
    "b0": (("b", 40.0, "M", "PA", None, "val"), (1, NAN, 0)),
    "c0": (("c", 50.0, None, "PA", None, "tune"), (NAN, 0, 0)),
    "d0": (("d", 60.0, "M", "AP", None, "test"), (0, 1, 0)),
}
BOXES = (("a0", "Mass"), ("a0", "Mass"), ("a1", "Mass"), ("d0", "Edema"))


def collection(rows=ROWS, classes=CLASSES, kind="multilabel", boxes=BOXES):
    index = pd.Index(list(rows), name="image_id", dtype="str")
    values = [(*row, image_id) for image_id, (row, _) in rows.items()]
    return Collection(
        name="made up",
        task=Task(kind, classes),
        manifest=pd.DataFrame(values, index=index, columns=list(MANIFEST_COLUMNS)),
        labels=pd.DataFrame(
            [labels for _, labels in rows.values()], index=index, columns=list(classes), dtype="float32"
        ),
        boxes=pd.DataFrame([(*box, 0.1, 0.1, 0.2, 0.2) for box in boxes], columns=list(BOX_COLUMNS)),
        label_version="v1",
        listed={},
    )


def explored(whole):
    return explore(Selection().of(whole))


def row(found, finding):
    return found.findings.set_index("finding").loc[finding].to_dict()


def test_a_finding_is_counted_by_hand():
    mass = row(explored(collection()), "Mass")
    expected = {
        "images": 3,
        "share": 3 / 5,
        "alone": 1,  # b0 might have Edema too
        "with_others": 1,
        "patients": 2,
        "unknown": 1,
        "female": 2,
        "male": 1,
        "sex_unknown": 0,
        "pa": 2,
        "ap": 1,
        "view_unknown": 0,
        "age_known": 3,
        "age_p50": 30.0,
        "boxes": 3,
        "boxed_images": 2,
        "train": 2,
        "val": 1,
        "tune": 0,
        "test": 0,
        "train_share": 2 / 3,
        "val_share": 1.0,
        "test_share": 0.0,
    }
    assert {name: mass[name] for name in expected} == expected
    assert np.isnan(mass["tune_share"])  # nothing is known of Mass in tune


def test_what_nobody_has_is_undefined_not_0():
    hernia = row(explored(collection()), "Hernia")
    assert (hernia["images"], hernia["share"], hernia["boxes"]) == (0, 0.0, 0)
    assert np.isnan([hernia[f"age_p{quantile}"] for quantile in (5, 25, 50, 75, 95)]).all()


def test_no_finding_needs_all_labels_known():
    found = explored(collection())
    nothing = row(found, NO_FINDING)
    assert nothing["images"] == 1
    # b0 has a finding, whatever else is unknown; of c0 nobody can tell.
    assert nothing["unknown"] == 1
    assert nothing["share"] == 1 / 5
    assert list(found.findings["finding"]) == [*CLASSES, NO_FINDING]


def test_all_images():
    everyone = explored(collection()).everyone
    assert everyone["images"] == 6
    assert everyone["patients"] == 4
    assert everyone["unknown"] == 2
    assert (everyone["female"], everyone["male"], everyone["sex_unknown"]) == (3, 2, 1)
    assert (everyone["age_known"], everyone["age_p50"]) == (5, 40.0)
    assert (everyone["boxes"], everyone["boxed_images"]) == (4, 3)


def test_how_many_findings_and_images():
    found = explored(collection())
    assert found.labels_per_image["all"].to_dict() == {0: 1, 1: 2, 2: 1}
    assert found.labels_per_image["train"].to_dict() == {0: 1, 1: 1, 2: 1}
    assert found.single_share == 2 / 3
    assert found.several_share == 1 / 4
    assert found.images_per_patient.to_dict() == {1: 3, 3: 1}
    assert found.roles["train"] == {"images": 3, "patients": 1}


def test_pairs():
    (pair,) = explored(collection()).pairs().to_dict("records")
    assert (pair["first"], pair["second"], pair["images"]) == ("Mass", "Edema", 1)
    assert (pair["of_first"], pair["of_second"]) == (1 / 3, 1 / 2)
    assert pair["lift"] == pytest.approx((1 / 6) / ((3 / 6) * (2 / 6)))


def test_no_finding_as_a_class_is_not_counted_as_a_finding():
    classes = ("Mass", "Edema", NO_FINDING)
    rows = {
        "a": (("a", 1.0, "F", "PA", None, "train"), (0, 0, 1)),
        "b": (("b", 1.0, "F", "PA", None, "train"), (1, 0, 0)),
        "c": (("c", 1.0, "F", "PA", None, "train"), (1, 1, 0)),
    }
    found = explored(collection(rows, classes, boxes=()))
    assert list(found.findings["finding"]) == list(classes)
    assert found.labels_per_image["all"].to_dict() == {0: 1, 1: 1, 2: 1}
    nothing = row(found, NO_FINDING)
    assert (nothing["images"], nothing["alone"], nothing["with_others"]) == (1, 1, 0)


def test_a_single_label_task_has_its_classes_alone():
    rows = {
        "a": (("a", 1.0, "F", "PA", None, "train"), (0, 1, 0)),
        "b": (("b", 1.0, "F", "PA", None, "test"), (1, 0, 0)),
    }
    found = explored(collection(rows, kind="singlelabel", boxes=()))
    assert list(found.findings["finding"]) == list(CLASSES)
    assert list(found.findings["alone"]) == [1, 1, 0]
    assert found.pairs().empty


def test_labels_that_are_all_unknown():
    rows = {"a": (("a", 1.0, "F", "PA", None, "train"), (NAN, NAN, NAN))}
    found = explored(collection(rows, boxes=()))
    assert found.findings["images"].sum() == 0
    assert found.findings["share"].isna().all()
    assert np.isnan(found.single_share)
    assert np.isnan(found.several_share)


def test_nothing_left_is_refused():
    with pytest.raises(CxrbenchError, match="no images left to explore"):
        explored(collection().only(pd.Index([], dtype="str")))


@pytest.fixture(scope="module")
def phantom():
    return Selection().of(Phantom(train_val=300, test=100).read(None))


def test_agrees_with_pandas(phantom):
    found, used = explore(phantom), phantom.collection
    table = used.manifest.join(used.labels).assign(role=phantom.roles)
    findings = found.findings.set_index("finding")
    for finding in used.task.classes:
        having = table[table[finding] == 1]
        assert findings.at[finding, "images"] == len(having)
        assert findings.at[finding, "female"] == (having["sex"] == "F").sum()
        assert findings.at[finding, "ap"] == (having["view"] == "AP").sum()
        assert findings.at[finding, "age_p25"] == having["age"].quantile(0.25)
        assert findings.at[finding, "age_p95"] == pytest.approx(having["age"].quantile(0.95))
        for role in ROLES:
            share = table.loc[table["role"] == role, finding].mean()
            assert findings.at[finding, f"{role}_share"] == pytest.approx(share)
    labels = used.labels.astype(int)
    expected = labels.T.dot(labels)
    pd.testing.assert_frame_equal(
        found.together.loc[expected.index, expected.columns], expected, check_dtype=False
    )
    per_image = labels.sum(axis=1).value_counts().sort_index()
    assert found.labels_per_image["all"].to_dict() == per_image.to_dict()


class Grey:
    """Images of one grey level each, some of them damaged."""

    def __init__(self, damaged=()):
        self.damaged, self.read = damaged, []

    def pixels(self, content, image_id, side):
        self.read.append(image_id)
        if image_id in self.damaged:
            raise DamagedImageError(image_id, "is truncated")
        return np.full((2 * SIDE, SIDE), 7, dtype=np.uint8)


def test_samples_are_of_train_and_the_same_each_time(phantom):
    samples = samples_of(Grey(), None, phantom, 3, seed=0)
    labels, roles = phantom.collection.labels, phantom.roles
    assert {roles[sample.image_id] for sample in samples.images} == {"train"}
    for sample in samples.images:
        present = {name for name in labels if labels.at[sample.image_id, name] == 1} or {NO_FINDING}
        assert present == {sample.finding, *sample.others}
        assert sample.pixels.shape == (SIDE, SIDE // 2)
    chosen = [(sample.finding, sample.image_id) for sample in samples.images]
    assert chosen == [(s.finding, s.image_id) for s in samples_of(Grey(), None, phantom, 3, seed=0).images]
    assert chosen != [(s.finding, s.image_id) for s in samples_of(Grey(), None, phantom, 3, seed=1).images]


def test_damaged_samples_are_passed_over_and_told(phantom):
    first = samples_of(Grey(), None, phantom, 2, seed=0).images[0]
    dataset = Grey(damaged={first.image_id})
    samples = samples_of(dataset, None, phantom, 2, seed=0)
    assert first.image_id not in {sample.image_id for sample in samples.images}
    assert samples.damaged == {first.image_id: "is truncated"}
    assert sum(sample.finding == first.finding for sample in samples.images) == 2
    assert len(dataset.read) == len(set(dataset.read))


def test_of_damaged_images_only_some_are_tried(phantom):
    dataset = Grey(damaged=set(phantom.collection.manifest.index))
    samples = samples_of(dataset, None, phantom, 2, seed=0)
    assert samples.images == ()
    assert len(dataset.read) <= 2 * 4 * 15


def test_official_counts_of_the_real_table(nih_table):
    """The counts that the data set's authors give for all 112,120 images."""
    counts = explore(nih_table).findings.set_index("finding")["images"]
    expected = {"Infiltration": 19894, "Effusion": 13317, "Hernia": 227, "Cardiomegaly": 2776}
    assert {finding: counts[finding] for finding in expected} == expected
    assert counts[NO_FINDING] == 60361


@pytest.fixture(scope="module")
def nih_table(tmp_path_factory):
    """All rows of the real table; the images are empty files, as exploring reads none."""
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not (data / "nih_subset").is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    root = tmp_path_factory.mktemp("nih")
    (root / "images").mkdir()
    for name in ("Data_Entry_2017_v2020.csv", "train_val_list.txt", "test_list.txt"):
        (root / name).symlink_to(data / "nih_subset" / name)
        if name.endswith(".txt"):
            for image_id in (root / name).read_text().split():
                (root / "images" / image_id).touch()
    return Selection().of(Nih().read(root))
