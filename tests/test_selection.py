"""Which images a run uses: exclusions, samplers, splits and labels laid over, alone and in a store's keys."""

import json
from dataclasses import replace

import pytest
from conftest import PHANTOM, invoke, job_of, run
from test_data import ALL, keys

from cxrbench.collection import Problem
from cxrbench.datasets.phantom import Phantom
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.selection import Selection, read_exclusions


def ids_of(job):
    return {role: list(job._data.image_ids(role)) for role in ("train", "val", "tune", "test")}


def test_ids_are_read_one_a_line(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("\ufeffa.png\n\n# looked at twice\n  b.png  \n", encoding="utf-8")
    assert read_exclusions(path) == {"a.png", "b.png"}
    with pytest.raises(UsageError, match=r"There is no file .*none\.txt; --exclude takes"):
        read_exclusions(tmp_path / "none.txt")
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="cannot be read as text"):
        read_exclusions(path)


def test_excluded_images_are_nowhere(tmp_path):
    before = ids_of(job_of(tmp_path))
    left_out = [before["train"][0], before["test"][-1]]
    (tmp_path / "bad.txt").write_text("\n".join([*left_out, "stranger"]))
    job = job_of(tmp_path, exclude=str(tmp_path / "bad.txt"))
    after = ids_of(job)
    assert {role: [i for i in ids if i not in left_out] for role, ids in before.items()} == after
    assert "Images excluded by name: 2; 1 more ids name none at hand." in job._data.notes
    assert job._data.passport("tune").excluded == 2


def test_the_path_of_an_excluding_file_is_in_no_key(tmp_path):
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("phantom-000001_000\n")
    one, two = (keys(job_of(tmp_path, exclude=str(tmp_path / name))) for name in ("one.txt", "two.txt"))
    assert one == two


@pytest.mark.parametrize(
    ("option", "text"), [("exclude", "00000001_000\n"), ("labels", "image_id,Mass\n00000001_000,1\n")]
)
def test_a_file_that_matches_no_image_is_refused(tmp_path, option, text):
    (tmp_path / "file").write_text(text)
    said = rf"The file of --{option} names no image .*like 00000001_000, the data's like phantom-000001_000"
    with pytest.raises(UsageError, match=said):
        job_of(tmp_path, **{option: str(tmp_path / "file")})


def test_what_is_left_out_decides_no_role_of_the_others():
    """A data set of which only the test images have a role."""
    whole = Phantom(train_val=30, test=20).read(None)
    manifest = whole.manifest.assign(official=whole.manifest["official"].where(lambda o: o == "test", None))
    whole = replace(whole, manifest=manifest)
    test = frozenset(manifest.index[manifest["official"] == "test"])
    roles, rest = (Selection(exclude=exclude).of(whole).roles for exclude in (frozenset(), test))
    assert rest.equals(roles[~roles.index.isin(list(test))])
    assert "test" not in set(rest)


def test_what_is_serious_about_images_that_are_left_out_does_not_matter():
    whole = Phantom(train_val=30, test=20).read(None)
    one, *others = whole.manifest.index
    problems = (Problem("label_conflict", (one,), serious=True), Problem("duplicate_rows", (one,)))
    whole = replace(whole, problems=problems)
    with pytest.raises(CxrbenchError, match=rf"label_conflict \(1, such as {one}\)"):
        Selection(exclude=frozenset(others[:5])).of(whole).collection.require_sound()
    left = Selection(exclude=frozenset({one})).of(whole).collection
    left.require_sound()
    assert left.problems == problems[1:]


def overlay(folder, job, role, name="panel.csv"):
    """A file that contradicts one label of a role."""
    data = job._data
    image = data.image_ids(role)[0]
    hernia = 1 - data._collection.labels.loc[image, "Hernia"]
    (folder / name).write_text(f"image_id,Hernia\n{image},{hernia:.0f}\n")
    return str(folder / name)


@pytest.mark.parametrize(
    ("role", "changed"),
    [("test", ["evaluate", "run"]), ("tune", ALL[2:]), ("val", ALL), ("train", ALL)],
)
def test_labels_laid_over_change_the_keys_of_the_stages_that_read_them(tmp_path, role, changed):
    job = job_of(tmp_path)
    before, after = keys(job), keys(job_of(tmp_path, labels=overlay(tmp_path, job, role)))
    assert [stage for stage in ALL if before[stage] != after[stage]] == changed


@pytest.mark.parametrize("given", [{"split": "image", "tune": "val"}, {"sampler": "fpn_fusion"}])
def test_labels_laid_over_move_no_image(tmp_path, given):
    job = job_of(tmp_path, **given)
    other = job_of(tmp_path, labels=overlay(tmp_path, job, "test"), **given)
    assert ids_of(job) == ids_of(other)
    assert job.steps.train.id == other.steps.train.id
    assert job._data.passport("val").id != other._data.passport("val").id


def test_the_passport_names_the_labels_by_content(tmp_path):
    job = job_of(tmp_path)
    one, two = (
        job_of(tmp_path, labels=overlay(tmp_path, job, "test", name))._data for name in ("one.csv", "two.csv")
    )
    version = one.passport("tune").label_version
    assert version.startswith(job._data.passport("tune").label_version + " + ")
    assert version == two.passport("tune").label_version


def test_a_split_by_image_has_no_tune_and_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match=r"has no images for tune with the split 'image'; give --tune val"):
        job_of(tmp_path, split="image")
    data = job_of(tmp_path, split="image", tune="val")._data
    passport = data.passport("val")
    assert passport.split == "image"
    assert passport.images["tune"] == 0
    assert passport.shared_patients["train/test"] > 0


def test_a_split_by_patient_shares_none_and_is_another_test_set(tmp_path):
    official, patient = (
        job_of(tmp_path, split=split)._data.passport("tune") for split in ("official", "patient")
    )
    assert sum(patient.shared_patients.values()) == 0
    assert patient.id != official.id
    assert patient.split == "patient"


def test_too_little_left_is_one_sentence(tmp_path):
    test = ids_of(job_of(tmp_path))["test"]
    (tmp_path / "bad.txt").write_text("\n".join(test))
    with pytest.raises(CxrbenchError, match="has no images for test"):
        job_of(tmp_path, exclude=str(tmp_path / "bad.txt"))


def test_a_sampler_is_part_of_the_training_s_key_and_of_images_only_where_it_leaves_some_out(tmp_path):
    none, limit, fusion = (
        job_of(tmp_path, sampler=name) for name in ("none", "limit:no_finding=0.5", "fpn_fusion")
    )
    assert none.steps.train.id != limit.steps.train.id
    assert ids_of(none) == ids_of(limit)
    assert none._data.passport("tune") == limit._data.passport("tune")
    passport = fusion._data.passport("tune")
    assert passport.sampler == "fpn_fusion"
    assert set(ids_of(fusion)["test"]) < set(ids_of(none)["test"])
    boxes = fusion._data._collection.boxes
    assert set(boxes["image_id"]) <= set(fusion._data.manifest.index)
    assert len(boxes) < len(none._data._collection.boxes)


def test_the_subset_is_the_same_for_every_seed(tmp_path):
    one, two = (job_of(tmp_path, sampler="fpn_fusion", seed=seed) for seed in (0, 1))
    assert ids_of(one) == ids_of(two)


def test_selecting_nothing_changes_nothing(tmp_path):
    whole = job_of(tmp_path)._data.dataset.read(None)
    selected = Selection().of(whole)
    assert selected.collection.labels.equals(whole.labels.sort_index())
    assert selected.collection.notes == whole.notes
    assert (selected.excluded, selected.sampled_out) == (0, 0)


# Whole runs


def test_a_balanced_run_says_what_it_trains_on_and_logs_what_the_sampler_read(tmp_path):
    sampler = "fpn_fusion:mirror_below=30,repeat_to=30"
    answer = run(tmp_path, "--set", "training.precision=fp32", "--config", config(tmp_path, sampler=sampler))
    assert answer.exit_code == 0
    (record,) = answer.json["runs"]
    assert record["passport"]["sampler"] == sampler
    assert record["passport"]["drawn"] is True
    assert any("uses" in note and sampler in note for note in record["notes"])
    reads = [json.loads(line) for line in (tmp_path / "label_reads.jsonl").read_text().splitlines()]
    subset = [read for read in reads if read["purpose"] == "subset"]
    assert {read["role"] for read in subset} == {"train", "val", "tune", "test"}
    assert {read["reader"] for read in subset} == {f"sampler/{sampler}"}


def test_a_sampler_that_leaves_nothing_to_train_on_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cxrbench.samplers.limit.leave_share", lambda kept, *_: kept & False)
    answer = run(tmp_path, "--config", config(tmp_path, sampler="limit"))
    assert answer.exit_code == 1
    assert "leaves none of the" in answer.stderr


def test_corrected_test_labels_are_another_row_of_the_same_network(begun, tmp_path):
    results = begun(tmp_path / "results")
    job = job_of(results, dataset=PHANTOM)
    first = run(results)
    again = run(results, "--config", config(tmp_path, labels=overlay(tmp_path, job, "test")))
    assert again.json["trainings"] == 0
    one, other = first.json["runs"][0], again.json["runs"][0]
    assert one["training"] == other["training"]
    assert one["passport"]["id"] != other["passport"]["id"]
    assert len(list((results / "artifacts" / "predict").iterdir())) == 2
    shown = invoke("show", "--results", results)
    assert shown.stdout.count("always the prevalence") == 2


def test_a_run_on_a_split_by_image_shows_its_leak(tmp_path):
    answer = run(tmp_path, "--tune", "val", "--config", config(tmp_path, split="image"))
    (record,) = answer.json["runs"]
    assert record["passport"]["shared_patients"]["train/test"] > 0
    assert "PATIENTS SHARED" in invoke("show", "--results", tmp_path).stdout
    reads = [json.loads(line) for line in (tmp_path / "label_reads.jsonl").read_text().splitlines()]
    assert {read["reader"] for read in reads if read["purpose"] == "stratify"} == {"split/image"}


def config(folder, **settings):
    path = folder / "settings.toml"
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    return path
