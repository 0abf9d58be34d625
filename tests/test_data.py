import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from conftest import PHANTOM, job_of

from cxrbench.collection import BOX_COLUMNS, MANIFEST_COLUMNS, Collection
from cxrbench.data import Data
from cxrbench.datasets.phantom import Phantom
from cxrbench.errors import CxrbenchError
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES, assign_roles
from cxrbench.store import Store
from cxrbench.task import Task

TASK = Task("multilabel", ("A", "B"))


def collection(patients=60, images=2, *, change=None, drop=()):
    """Some patients in each list, their labels drawn; ``change`` edits the labels."""
    rng = np.random.default_rng(0)
    rows, labels = {}, {}
    for patient in range(patients):
        for image in range(images):
            name = f"p{patient:03d}_{image}"
            official = "test" if patient % 4 == 0 else "train_val"
            rows[name] = (f"p{patient:03d}", 40.0 + patient, "F", "PA", official, None, "")
            labels[name] = rng.integers(0, 2, 2)
    columns = list(MANIFEST_COLUMNS)
    manifest = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("image_id")
    known = pd.DataFrame.from_dict(labels, orient="index", columns=["A", "B"]).astype("float32")
    known = known.rename_axis("image_id")
    if change is not None:
        change(known)
    kept = ~manifest.index.isin(drop)
    # In an order of their own: nothing may depend on it.
    order = rng.permutation(kept.sum())
    boxes = pd.DataFrame(columns=list(BOX_COLUMNS))
    return Collection("made", TASK, manifest[kept].iloc[order], known[kept].iloc[order], boxes, "made 1", {})


class Made:
    def __init__(self, made):
        self.made = made

    def recommend(self):
        return {}

    def read(self, root):
        return self.made

    def pixels(self, content, image_id, side):
        raise AssertionError("no pixels are needed here")


def data(folder, made=None, quiet=True):
    return Data(Made(made or collection()), {"name": "made"}, None, Store(folder, Reporter(quiet=quiet)))


def log_of(folder):
    path = folder / "label_reads.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_read_of_labels_is_logged_with_its_reader_and_purpose(tmp_path):
    opened = data(tmp_path)
    opened.publish()
    assert log_of(tmp_path) == []
    labels = opened.labels("tune", "threshold/abc", "fit")
    assert labels.shape == (len(opened.image_ids("tune")), 2)
    (line,) = log_of(tmp_path)
    assert (line["role"], line["reader"], line["purpose"]) == ("tune", "threshold/abc", "fit")
    assert line["labels"] == opened.label_step("tune").id


def test_labels_are_in_the_order_of_image_ids_whatever_order_they_came_in(tmp_path):
    made = collection()
    opened = data(tmp_path, made)
    opened.publish()
    for role in ROLES:
        expected = made.labels.loc[opened.image_ids(role)].to_numpy()
        assert np.array_equal(opened.labels(role, "evaluate/x", "evaluate"), expected)


def test_fitting_on_test_is_refused_and_evaluating_is_not(tmp_path):
    opened = data(tmp_path)
    opened.publish()
    with pytest.raises(CxrbenchError, match="must not be fitted on the test role"):
        opened.labels("test", "threshold/abc", "fit")
    assert log_of(tmp_path) == []
    assert len(opened.labels("test", "evaluate/abc", "evaluate"))


def test_unknown_labels_stay_unknown(tmp_path):
    def hide(labels):
        labels.loc["p000_0", "B"] = np.nan

    opened = data(tmp_path, collection(change=hide))
    opened.publish()
    row = opened.image_ids("test").get_loc("p000_0")
    assert np.isnan(opened.labels("test", "evaluate/x", "evaluate")[row, 1])


def flip(image):
    def change(labels):
        labels.loc[image, "A"] = 1 - labels.loc[image, "A"]

    return change


def test_the_passport_changes_with_test_images_and_test_labels_alone(tmp_path):
    opened = data(tmp_path)
    passport = opened.passport("tune")
    train_image, test_image = opened.image_ids("train")[0], opened.image_ids("test")[0]
    assert data(tmp_path).passport("tune") == passport
    assert data(tmp_path).passport("val").id == passport.id
    assert data(tmp_path, collection(change=flip(train_image))).passport("tune").id == passport.id
    assert data(tmp_path, collection(change=flip(test_image))).passport("tune").id != passport.id
    assert data(tmp_path, collection(drop=[test_image])).passport("tune").id != passport.id
    assert passport.images == {role: len(opened.image_ids(role)) for role in ROLES}
    assert passport.record()["id"] == passport.id


def test_patients_in_two_lists_are_counted_as_a_leak(tmp_path):
    made = collection()
    leaking = made.manifest.index[made.manifest["official"] == "test"][0]
    made.manifest.loc[leaking, "official"] = "train_val"
    shared = data(tmp_path, made).passport("tune").shared_patients
    assert sum(shared.values()) == 1
    assert sum(data(tmp_path).passport("tune").shared_patients.values()) == 0


def test_a_part_of_the_data_keeps_its_roles(tmp_path):
    whole = data(tmp_path)
    half = data(tmp_path, collection(drop=list(whole.manifest.index[::2])))
    assert half.roles.equals(whole.roles[half.roles.index])


def test_a_data_set_without_images_for_a_role_is_refused(tmp_path):
    names = collection().manifest.query("official == 'test'").index
    without = data(tmp_path, collection(drop=list(names)))
    without.require_roles("train", "val")
    with pytest.raises(CxrbenchError, match=r"has no images for test .*add images of both official lists"):
        without.require_roles("train", "val", "test")


def test_what_to_do_about_a_role_without_images_depends_on_how_roles_are_given(tmp_path):
    for column, value, remedy in (
        ("official", None, "; add images of more patients, or give another --split"),
        ("role", "train", "; give images these roles in its table, or"),
    ):
        made = collection(patients=1)
        made.manifest[column] = value
        with pytest.raises(CxrbenchError, match=remedy):
            data(tmp_path, made).require_roles("train", "val", "test")


def test_the_version_of_labels_and_other_facts_change_no_label_s_key(tmp_path):
    one = data(tmp_path)
    made = replace(collection(), label_version="made 2")
    made.manifest["age"] += 1
    other = data(tmp_path, made)
    assert [one.label_step(role).id for role in ROLES] == [other.label_step(role).id for role in ROLES]
    assert other.passport("tune").label_version == "made 2"


def test_opening_a_data_set_writes_nothing(tmp_path):
    data(tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_patient_vectors_scale_and_fill(tmp_path):
    made = collection()
    ids = made.manifest.index[:4]
    made.manifest.loc[ids, "age"] = [140.0, np.nan, 50.0, 0.0]
    made.manifest.loc[ids, "view"] = ["AP", None, "PA", "PA"]
    made.manifest.loc[ids, "sex"] = ["F", None, "M", "F"]
    vectors = data(tmp_path, made).patient_vectors(ids)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1.0, 1.0, 1.0], [0.5, 0.5, 0.5], [0.5, 0.0, 0.0], [0.0, 0.0, 1.0]]


# Keys: each stage's key follows from the data that the stage reads, and no other


class Relabelled(Phantom):
    """A phantom with one label of one role told differently."""

    role = "test"

    def read(self, root):
        made = super().read(root)
        roles = assign_roles(made.manifest)
        image = roles.index[roles == self.role][0]
        made.labels.loc[image, "Hernia"] = 1 - made.labels.loc[image, "Hernia"]
        return made


def keys(job):
    steps = job.steps
    return {
        "train": steps.train.id,
        "predict": [step.id for step in steps.predictions.values()],
        "calibrate": [step.id for step in steps.calibrations.values()],
        "threshold": steps.threshold.id,
        "evaluate": steps.evaluation.id,
        "run": steps.run.id,
    }


ALL = ["train", "predict", "calibrate", "threshold", "evaluate", "run"]


@pytest.mark.parametrize(
    ("role", "changed"),
    [("test", ["evaluate", "run"]), ("tune", ALL[2:]), ("val", ALL), ("train", ALL)],
)
def test_a_changed_label_changes_the_keys_of_the_stages_that_read_it(tmp_path, monkeypatch, role, changed):
    before = keys(job_of(tmp_path))
    monkeypatch.setattr("cxrbench.datasets.phantom.Phantom", Relabelled)
    monkeypatch.setattr(Relabelled, "role", role)
    after = keys(job_of(tmp_path))
    assert [stage for stage in ALL if before[stage] != after[stage]] == changed


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"seed": 1}, ALL),
        ({"loss": "bce"}, ALL),
        ({"image_size": 96}, []),  # this network sees no image
        ({"training": {"epochs": 3, "precision": "fp32"}}, ALL),
        ({"min_positives": 3}, ALL[2:]),
        ({"calibrator": "temperature"}, ["threshold", "evaluate", "run"]),
        ({"thresholds": "youden"}, ["threshold", "evaluate", "run"]),
        ({"thresholds": "dynamic:min_precision=0.4"}, ["threshold", "evaluate", "run"]),
        ({"dataset": PHANTOM + ",label_noise=0"}, []),
        ({"loss": "weighted_bce"}, []),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_changed_setting_changes_the_keys_of_the_stages_that_use_it(tmp_path, given, changed):
    before, after = keys(job_of(tmp_path)), keys(job_of(tmp_path, **given))
    assert [stage for stage in ALL if before[stage] != after[stage]] == changed


def test_a_changed_box_is_the_same_run(tmp_path, monkeypatch):
    class Moved(Phantom):
        def read(self, root):
            found = super().read(root)
            return replace(found, boxes=found.boxes.assign(x=found.boxes["x"] / 2))

    one = job_of(tmp_path).steps
    monkeypatch.setattr("cxrbench.datasets.phantom.Phantom", Moved)
    other = job_of(tmp_path).steps
    assert one.evaluation.id == other.evaluation.id
    assert one.run.id == other.run.id


def test_another_image_size_is_another_network_where_it_sees_images(tmp_path):
    one, other = (keys(job_of(tmp_path, backbone="timm/test_resnet", image_size=side)) for side in (32, 64))
    assert not any(one[stage] == other[stage] for stage in ALL)


def test_a_network_that_sees_no_image_does_not_depend_on_pixels(tmp_path):
    light = job_of(tmp_path).steps.train
    assert set(light.inputs["data"]["train"]) == {"ids", "patient"}
    images = job_of(tmp_path, backbone="timm/test_resnet", image_size=32).steps.train
    assert set(images.inputs["data"]["train"]) == {"ids", "pixels"}


def test_tune_on_val_is_another_run_of_the_same_network(tmp_path):
    one, other = job_of(tmp_path).steps, job_of(tmp_path, tune="val").steps
    assert one.train.id == other.train.id
    assert one.threshold.id != other.threshold.id
    assert one.run.id != other.run.id
