"""External validation: a network trained on one data set, tested on another."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import LIGHT, PHANTOM, PIXELS, invoke, job_of, run

from cxrbench.collection import Collection, Problem
from cxrbench.data import Data
from cxrbench.datasets.manifest_csv import ManifestCsv
from cxrbench.datasets.phantom import Phantom
from cxrbench.errors import UsageError
from cxrbench.external import ExternalTest, patients_seen
from cxrbench.findings import NIH_FINDINGS
from cxrbench.grid import cells, parse_axis, roots_of
from cxrbench.label_overlay import LabelOverlay
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES
from cxrbench.selection import Selection
from cxrbench.store import Store
from cxrbench.task import Task

NIH = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[1] / "../shared/data")) / "nih_subset"
OTHER = "phantom:train_val=60,test=90,prevalence_shift=2,seed=5"


def collection(classes=NIH_FINDINGS, kind="multilabel", **manifest) -> Collection:
    """A small phantom whose classes have other names, in the same order."""
    made = Phantom(train_val=30, test=20).read(None)
    labels = made.labels.iloc[:, : len(classes)].set_axis(list(classes), axis=1)
    return Collection(
        name="other",
        task=Task(kind, tuple(classes)),
        manifest=made.manifest.assign(**manifest),
        labels=labels,
        boxes=made.boxes,
        label_version="1",
        listed={},
    )


TRAINED = Task("multilabel", ("Mass", "Edema", "Hernia"))


def test_the_test_images_and_the_findings_that_both_have_in_the_networks_order():
    other = collection(("Edema", "Cough", "Mass"))
    selected = ExternalTest(task=TRAINED).of(other)
    left = selected.collection
    assert left.task == Task("multilabel", ("Mass", "Edema"))
    assert list(left.manifest.index) == sorted(other.manifest.index[other.manifest["official"] == "test"])
    np.testing.assert_array_equal(left.labels["Mass"], other.labels["Mass"].loc[left.manifest.index])
    assert set(selected.roles) == {"test"}
    assert set(left.boxes["finding"]) <= {"Mass", "Edema"}


def test_all_images_are_for_testing_where_the_data_set_says_nothing():
    other = collection(official=None, role=None)
    assert len(ExternalTest(task=TRAINED).of(other).roles) == len(other.manifest) == 50


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (collection(("Cough",)), "has none of the findings trained on"),
        (collection(kind="singlelabel"), "is singlelabel, but the network is trained on multilabel"),
        (collection(official="train_val"), "has no test images"),
    ],
)
def test_what_cannot_be_tested_on_is_refused(other, said):
    with pytest.raises(UsageError, match=said):
        ExternalTest(task=TRAINED).of(other)


def test_exclusions_and_labels_laid_over_hold_for_the_test_images_too(tmp_path):
    other = collection()
    test = sorted(other.manifest.index[other.manifest["official"] == "test"])
    train = other.manifest.index[other.manifest["official"] != "test"][0]
    told = 1 - other.labels.loc[test[0], "Mass"]
    (tmp_path / "panel.csv").write_text(f"image_id,Mass,Edema\n{test[0]},{told:.0f},\nstranger,1,1\n")
    overlay = LabelOverlay.read(tmp_path / "panel.csv")
    selected = ExternalTest(
        exclude=frozenset({test[1], train, "stranger"}), overlay=overlay, task=TRAINED
    ).of(other)
    left = selected.collection
    assert list(left.manifest.index) == [test[0], *test[2:]]
    assert selected.excluded == 1
    assert left.labels.loc[test[0], "Mass"] == told
    assert left.labels.iloc[1:].equals(other.labels.loc[test[2:], list(left.task.classes)])
    assert left.label_version == f"1 + {overlay.version}"
    assert left.notes == (
        "other: panel.csv tells 2 images (1 of them not at hand) and changes 1 labels.",
        "Images excluded by name from the test images of other: 1.",
    )


def test_a_file_may_be_of_one_data_set_alone_but_not_of_neither():
    own, other = collection(), collection()
    other = replace(
        other,
        manifest=other.manifest.set_axis("x" + other.manifest.index),
        labels=other.labels.set_axis("x" + other.labels.index),
        boxes=other.boxes.assign(image_id="x" + other.boxes["image_id"]),
    )
    for excluded in (own.manifest.index[0], other.manifest.index[0]):
        selection = Selection(exclude=frozenset({excluded}))
        selection.require_matches(selection.of(own), ExternalTest(task=TRAINED).of(other))
    neither = Selection(exclude=frozenset({"y"}))
    with pytest.raises(UsageError, match="names no image at hand: its ids are like y"):
        neither.require_matches(neither.of(own), ExternalTest(task=TRAINED).of(other))


def test_problems_of_images_that_are_not_tested_on_do_not_matter():
    train = collection().manifest.query("official != 'test'").index[0]
    test = collection().manifest.query("official == 'test'").index[0]
    for image, sound in ((train, True), (test, False)):
        other = replace(collection(), problems=(Problem("label_conflict", (image,), serious=True),))
        left = ExternalTest(task=TRAINED).of(other).collection
        assert (left.problems == ()) is sound


# Patients that were trained on


def tables(folder, root="root"):
    """Two tables on the same four files that call the patients differently; the second tests on all."""
    (folder / root).mkdir(exist_ok=True)
    for number in range(4):
        (folder / root / f"{number}.png").touch()
    first = "\n".join(f"{i}.png,{p},{r},1" for i, p, r in zip(range(4), "aabc", ROLES, strict=True))
    (folder / root / "first.csv").write_text(f"path,patient,role,Mass\n{first}\n")
    second = "\n".join(f"{i}.png,{p},test,1" for i, p in zip(range(4), "xyzz", strict=True))
    (folder / root / "second.csv").write_text(f"path,patient,role,Mass\n{second}\n")
    return folder / root


def opened(folder, root, table, selection):
    store = Store(folder / "store", Reporter(quiet=True))
    return Data(
        ManifestCsv(table=table), {"name": "csv", "options": {"table": table}}, root, store, selection
    )


MASS = ExternalTest(task=Task("multilabel", ("Mass",)))


def test_patients_of_whom_the_same_file_was_trained_on_are_counted_however_they_are_called(tmp_path):
    root = tables(tmp_path)
    own = opened(tmp_path, root, "first.csv", Selection())
    test = opened(tmp_path, root, "second.csv", MASS)
    assert patients_seen(own, test) == {"train/test": 1, "val/test": 1, "tune/test": 1}
    # Patients of one table are compared by name: p a has images in train and val.
    same = opened(tmp_path, root, "first.csv", replace(MASS, exclude=frozenset({"0.png"})))
    assert patients_seen(own, same) == {"train/test": 0, "val/test": 0, "tune/test": 0}


def test_copies_are_known_by_their_pixels_and_other_data_are_not_known(tmp_path):
    own = opened(tmp_path, tables(tmp_path), "first.csv", Selection())
    test = opened(tmp_path, tables(tmp_path, "copy"), "second.csv", MASS)
    assert patients_seen(own, test) == {"train/test": None, "val/test": None, "tune/test": None}
    ours = pd.Series(list("ABCD"), index=own.manifest.index)
    theirs = pd.Series(list("ABBE"), index=test.manifest.index)
    seen = patients_seen(own, test, (ours, theirs))
    assert seen == {"train/test": 1, "val/test": 2, "tune/test": None}


def test_a_split_by_patient_tested_on_the_official_list_of_the_same_data_is_a_leak(tmp_path):
    job = job_of(tmp_path, split="patient", test_dataset=PHANTOM)
    manifest = job._data.dataset.read(None).manifest
    tested = set(manifest["patient_id"][manifest["official"] == "test"])
    expected = {f"{role}/test": len(tested & set(job._data.patients(role))) for role in ROLES[:3]}
    assert expected["train/test"] > 0
    assert expected.items() <= job.passport.shared_patients.items()
    official = job_of(tmp_path, test_dataset=PHANTOM).passport
    assert set(official.shared_patients.values()) == {0}


def test_a_leak_into_another_test_set_is_shown(tmp_path):
    answer = run(tmp_path, "--split", "patient", "--test-dataset", PHANTOM)
    shown = invoke("show", answer.json["runs"][0]["run_id"], "--results", tmp_path).stdout
    assert "PATIENTS SHARED: {'train/test'" in " ".join(shown.split())


def test_a_single_label_network_needs_the_same_classes():
    classes = ("a", "b", "c")
    same = ExternalTest(task=Task("singlelabel", classes))
    assert same.of(collection(("c", "a", "b"), "singlelabel")).collection.task.classes == classes
    with pytest.raises(UsageError, match="other classes"):
        same.of(collection(("a", "b"), "singlelabel"))


# Runs


@pytest.fixture(scope="module")
def results(begun, tmp_path_factory):
    return begun(tmp_path_factory.mktemp("external") / "results")


class Renamed(Phantom):
    """A phantom with a finding of its own, and without Hernia, where its seed is 5."""

    def read(self, root):
        made = super().read(root)
        if self.seed != 5:
            return made
        names = {"Hernia": "Fracture"}
        task = Task("multilabel", tuple(names.get(name, name) for name in made.task.classes))
        changed = {name: getattr(made, name) for name in Collection.__dataclass_fields__}
        changed |= {"name": "other", "task": task, "labels": made.labels.rename(columns=names)}
        changed["boxes"] = made.boxes.replace({"finding": names})
        return Collection(**changed)


@pytest.fixture(scope="module")
def both(results):
    """A run tested on its own data, and one tested on another's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrbench.datasets.phantom.Phantom", Renamed)
        own = run(results).json["runs"][0]
        answer = run(results, "--test-dataset", OTHER)
    assert answer.exit_code == 0, answer.stderr
    return own, answer.json


def test_another_test_set_trains_and_calibrates_nothing_again(both):
    own, answer = both
    (external,) = answer["runs"]
    assert answer["trainings"] == 0
    assert external["weights"] == own["weights"]
    thresholds = {row["finding"]: row["threshold"] for row in own["per_finding"]}
    assert {row["finding"]: row["threshold"] for row in external["per_finding"]} == {
        finding: threshold for finding, threshold in thresholds.items() if finding != "Hernia"
    }


def test_the_passport_is_the_other_data_sets(both):
    own, answer = both
    (external,) = answer["runs"]
    passport = external["passport"]
    assert (external["dataset"], external["test_dataset"], passport["dataset"]) == (
        "phantom",
        "phantom",
        "other",
    )
    assert passport["id"] != own["passport"]["id"]
    assert passport["images"] == {**own["passport"]["images"], "test": 90}
    assert external["metrics"]["images"] == 90
    assert passport["shared_patients"]["train/test"] is None
    assert passport["shared_patients"]["train/tune"] == 0
    assert passport["roles"] == own["passport"]["roles"]


def test_findings_that_do_not_map_are_said(both, results):
    (external,) = both[1]["runs"]
    assert external["findings_not_in_test"] == ["Hernia"]
    assert external["findings_not_trained"] == ["Fracture"]
    assert len(external["per_finding"]) == 13
    shown = " ".join(invoke("show", external["run_id"], "--results", results).stdout.split())
    drawn = "(drawn images, not patients)"
    assert f"other {drawn}, trained on phantom {drawn}: " in shown
    assert "lacks them: Hernia." in shown
    assert "lacks them: Fracture." in shown
    assert "patients shared with training: not known" in shown


def test_it_is_a_row_of_a_table_of_its_own(both, results):
    shown = invoke("show", "--results", results).stdout
    assert shown.count("always the prevalence") == 2
    assert "phantom_on_phantom-" in both[1]["runs"][0]["run_id"]


def test_it_verifies_and_shows_images_of_the_other_data(both, results):
    assert invoke("verify", "--results", results, "--json").json["problems"] == []
    folder = Path(both[1]["runs"][0]["path"])
    assert (folder / "examples.png").is_file()
    reads = [json.loads(line) for line in (results / "label_reads.jsonl").read_text().splitlines()]
    assert {r["purpose"] for r in reads if r["role"] == "test"} == {"evaluate"}


def test_pixels_of_the_other_data_are_prepared_and_planned(tmp_path):
    line = (*PIXELS, "--epochs", "1", "--test-dataset", "phantom:train_val=30,test=20,seed=9")
    own, other = 320 * 36 * 36, 20 * 36 * 36
    plan = run(tmp_path / "r", *line, "--dry-run", backbone=None).json
    alone = run(tmp_path / "r", *PIXELS, "--epochs", "1", "--dry-run", backbone=None).json
    assert plan["disk_bytes"] - alone["disk_bytes"] == other
    answer = run(tmp_path / "r", *line, backbone=None)
    assert answer.json["runs"][0]["metrics"]["images"] == 20
    again = run(tmp_path / "r", *line, "--dry-run", backbone=None).json
    assert alone["disk_bytes"] - again["disk_bytes"] > own


def test_the_record_names_the_data_trained_on(both):
    own, answer = both
    (external,) = answer["runs"]
    assert external["trained_on"] == own["trained_on"]
    assert (external["trained_on"]["dataset"], external["trained_on"]["drawn"]) == ("phantom", True)
    assert external["options"]["test_dataset"] == {
        "train_val": 60,
        "test": 90,
        "prevalence_shift": 2.0,
        "seed": 5,
    }


def test_own_and_other_data_are_values_of_one_axis(results, both):
    own, _ = both
    several = run(results, "--test-dataset", f"none,{OTHER}", "--thresholds", "dynamic")
    names = [r["test_dataset"] for r in several.json["runs"]]
    assert names == [None, "phantom"]
    assert several.json["runs"][0]["run_id"] == own["run_id"]
    plan = invoke(
        "run", "--dataset", PHANTOM, "--backbone", LIGHT, "--test-dataset", f"none,{OTHER}", "--dry-run"
    )
    drawn = "phantom (drawn images, not patients)"
    assert f"{drawn} and {drawn}, trained on {drawn}: what would be done" in " ".join(plan.stdout.split())


def test_each_test_data_set_has_its_folder():
    axes = {"test_dataset": parse_axis("test_dataset", ["none,phantom:seed=1,phantom:seed=2"])}
    specs = cells({}, axes, [], installed().registry)
    one, two = (str(spec.test_dataset) for spec in specs[1:])
    assert roots_of(specs, [Path("a"), Path("b")]) == {one: Path("a"), two: Path("b")}
    assert roots_of(specs, [Path("a")]) == {one: Path("a"), two: Path("a")}
    assert roots_of(specs, []) == {}
    with pytest.raises(UsageError, match="3 --test-data-root for 2 test data sets"):
        roots_of(specs, [Path("a"), Path("b"), Path("c")])


def test_a_test_data_set_that_cannot_be_read_refuses_the_call_before_any_work(tmp_path):
    answer = run(tmp_path / "r", "--test-dataset", "nih", "--test-data-root", tmp_path / "nowhere")
    assert answer.exit_code == 2
    assert "--test-data-root is the folder" in answer.stderr
    assert " --data-root" not in answer.stderr
    assert answer.stdout == ""
    assert not (tmp_path / "r").exists()


def test_what_is_trained_on_needs_no_test_images_where_they_are_not_used(tmp_path):
    rows = []
    for number in range(30):
        (tmp_path / f"{number}.png").touch()
        rows.append(
            f"{number}.png,p{number},{'val' if number % 3 else 'train'},{20 + number},M,PA,{number % 2}"
        )
    (tmp_path / "ours.csv").write_text("\n".join(["path,patient,role,age,sex,view,Mass", *rows]))
    line = ("--data-root", tmp_path, "--tune", "val")
    alone = run(tmp_path / "r", *line, dataset="csv:table=ours.csv")
    assert alone.exit_code == 1
    assert "has no images for test" in alone.stderr
    answer = run(
        tmp_path / "r", *line, "--test-dataset", "phantom:train_val=30,test=20", dataset="csv:table=ours.csv"
    )
    assert answer.exit_code == 0, answer.stderr
    passport = answer.json["runs"][0]["passport"]
    assert passport["images"] == {"train": 10, "val": 20, "tune": 0, "test": 20}


def test_what_is_excluded_is_excluded_from_both(tmp_path):
    whole = job_of(tmp_path, test_dataset=OTHER)
    own, other = whole._data.image_ids("train")[0], whole._test.image_ids("test")[0]
    (tmp_path / "bad.txt").write_text(f"{own}\n{other}\n")
    job = job_of(tmp_path, test_dataset=OTHER, exclude=str(tmp_path / "bad.txt"))
    assert own not in job._data.manifest.index
    assert other not in job._test.manifest.index
    assert len(job._test.manifest) == len(whole._test.manifest) - 1
    both = job._data.passport("tune").excluded + job._test.passport("tune").excluded
    assert job.passport.excluded == both


@pytest.mark.skipif(not NIH.is_dir(), reason=f"no NIH images at {NIH}")
def test_trained_on_drawings_tested_on_patients(tmp_path):
    line = ("--test-dataset", "nih", "--test-data-root", NIH, "--thresholds", "youden")
    answer = run(tmp_path / "r", *line, backbone=LIGHT)
    (external,) = answer.json["runs"]
    assert external["passport"]["images"]["test"] == external["metrics"]["images"] == 227
    assert external["listed"]["test"] == 25_596
    assert external["findings_not_in_test"] == external["findings_not_trained"] == []
    shown = invoke("show", external["run_id"], "--results", tmp_path / "r").stdout
    assert "227 of 25,596 listed images" in shown
