"""``cxrbench score``: files of others become runs; what is odd about them is refused or counted."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import invoke
from sklearn.metrics import roc_auc_score

from cxrbench.findings import NIH_FINDINGS

PATIENTS, IMAGES = 120, 3
RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def labels():
    """Labels of 360 images of 120 patients, every finding in some tens of them."""
    ids = [f"{patient:08d}_{image:03d}.png" for patient in range(PATIENTS) for image in range(IMAGES)]
    values = (RANDOM.random((len(ids), 14)) < 0.25).astype(int)
    return pd.DataFrame(values, index=pd.Index(ids, name="Image Index"), columns=list(NIH_FINDINGS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, labels):
    """The labels as NIH's table, and scores of all images and of two halves of the patients."""
    folder = tmp_path_factory.mktemp("scored")
    strings = ["|".join(row.index[row == 1]) or "No Finding" for _, row in labels.iterrows()]
    table = pd.DataFrame(
        {
            "Image Index": labels.index,
            "Finding Labels": strings,
            "Patient ID": [int(image_id[:8]) for image_id in labels.index],
            "Patient Age": 50,
            "Patient Gender": "M",
            "View Position": "PA",
        }
    )
    table.to_csv(folder / "Data_Entry_2017.csv", index=False)
    logits = RANDOM.normal(size=labels.shape) + 1.5 * labels - 1
    scores = 1 / (1 + np.exp(-logits))
    scores.add_prefix("prob_").to_csv(folder / "net_seed0.csv")
    half = len(labels) // 2
    scores[:half].to_csv(folder / "test.csv")
    scores[half:].to_csv(folder / "tune.csv")
    return folder


@pytest.fixture
def score(folder, tmp_path):
    def call(file, *arguments, labels="Data_Entry_2017.csv", results=tmp_path / "results"):
        given = ("--labels", folder / labels) if labels else ()
        return invoke("score", folder / file, *given, *arguments, "--results", results, "--json")

    return call


@pytest.fixture
def broken(folder, score):
    """The scores changed, and scored."""

    def call(change, *arguments):
        frame = change(pd.read_csv(folder / "net_seed0.csv", index_col=0))
        frame.to_csv(folder / "broken.csv")
        return score("broken.csv", *arguments)

    return call


def only(answer):
    assert answer.exit_code == 0, answer.stderr
    (record,) = answer.json["runs"]
    return record


def test_a_scored_file_is_a_run_like_any_other(score, labels, folder, tmp_path):
    answer = score("net_seed0.csv")
    record = only(answer)
    assert set(answer.json) == {"trainings", "runs", "systems", "failed"}
    assert (record["source"], record["system"], record["seed"]) == ("scored", "net", 0)
    assert record["parameters"] is record["trained_on"] is record["backbone"] is None
    scores = pd.read_csv(folder / "net_seed0.csv", index_col=0)
    expected = [roc_auc_score(labels[name], scores[f"prob_{name}"]) for name in NIH_FINDINGS]
    assert [row["auc"] for row in record["per_finding"]] == pytest.approx(expected, abs=1e-12)
    assert record["passport"]["shared_patients"]["train/test"] is None
    results = tmp_path / "results"
    assert invoke("show", record["run_id"], "--results", results, "--json").json == record
    assert "net, uncalibrated" in invoke("show", "--results", results).stdout
    assert invoke("verify", "--results", results).exit_code == 0
    assert invoke("verify", "--roles", "--results", results).exit_code == 0
    assert not list((results / "runs" / record["run_id"]).glob("examples*"))
    assert only(score("net_seed0.csv"))["created"] == record["created"]


def test_without_tune_nothing_is_fitted_and_it_is_said(score):
    record = only(score("net_seed0.csv"))
    assert record["passport"]["images"]["tune"] == 0
    assert "without tune" in record["passport"]["split"]
    assert {row["threshold"] for row in record["per_finding"]} == {0.5}
    refused = score("net_seed0.csv", "--thresholds", "youden")
    assert refused.exit_code == 2
    assert "--tune-file" in refused.stderr


def test_a_tune_file_that_is_not_there_is_refused(score):
    answer = score("test.csv", "--tune-file", "X", "--calibrator", "none,platt")
    assert answer.exit_code == 2
    assert "There is no file" in answer.stderr


def test_tune_and_test_of_two_files_give_a_run_for_each_combination(score, folder):
    answer = score(
        "test.csv",
        "--tune-file",
        folder / "tune.csv",
        "--calibrator",
        "none,platt",
        "--thresholds",
        "youden,f1",
    )
    assert answer.exit_code == 0, answer.stderr
    assert [(r["calibrator"], r["thresholds"]) for r in answer.json["runs"]] == [
        ("none", "youden"),
        ("none", "f1"),
        ("platt", "youden"),
        ("platt", "f1"),
    ]
    record = answer.json["runs"][0]
    assert record["passport"]["images"] == {"train": 0, "val": 0, "tune": 180, "test": 180}
    assert record["calibration"]["platt"]["fitted"] == 14


def test_one_patient_in_tune_and_test_is_refused(score, folder):
    scores = pd.read_csv(folder / "net_seed0.csv", index_col=0)
    scores[1::3].to_csv(folder / "second_images.csv")
    scores[::3].to_csv(folder / "first_images.csv")
    refused = score("first_images.csv", "--tune-file", folder / "second_images.csv")
    assert refused.exit_code == 2
    assert "120 patients" in refused.stderr
    refused = score("test.csv", "--tune-file", folder / "test.csv")
    assert "180 images" in refused.stderr


def test_half_of_the_test_patients_can_be_fitted_on_and_every_place_says_so(score, tmp_path):
    whole = only(score("net_seed0.csv"))
    answer = score("net_seed0.csv", "--tune-from-test", "patients")
    record = only(answer)
    passport = record["passport"]
    assert passport["images"]["tune"] + passport["images"]["test"] == PATIENTS * IMAGES
    assert passport["patients"]["tune"] + passport["patients"]["test"] == PATIENTS
    assert 0.3 < passport["patients"]["tune"] / PATIENTS < 0.7
    assert passport["shared_patients"]["tune/test"] == 0
    assert passport["id"] != whole["passport"]["id"]
    assert "tune from test" in passport["split"]
    assert any("half of the test file's patients" in note for note in record["notes"])
    shown = invoke("show", "--results", tmp_path / "results").stdout
    assert "tune from test: half of its patients" in shown


def test_official_lists_say_what_is_test(score, folder, labels):
    patients = [image_id[:8] for image_id in labels.index]
    test = [name for name, patient in zip(labels.index, patients, strict=True) if int(patient) < 40]
    (folder / "test_list.txt").write_text("\n".join(test))
    (folder / "train_val_list.txt").write_text("\n".join(labels.index.difference(test)))
    record = only(score("net_seed0.csv", "--data-root", folder))
    assert record["passport"]["images"]["test"] == len(test)
    assert 0 < record["passport"]["images"]["tune"] < len(labels) - len(test)
    assert record["spec"]["tune_from"] == "roles"
    assert any("neither test nor tune" in note for note in record["notes"])
    scores = pd.read_csv(folder / "net_seed0.csv", index_col=0)
    scores[3:].to_csv(folder / "few.csv")
    assert "3 of 120 test images have no score" in score("few.csv", "--data-root", folder).stderr
    record = only(score("few.csv", "--data-root", folder, "--allow-missing"))
    assert record["passport"]["images"]["test"] == len(test) - 3


ODD = {
    "--keep-first-duplicate": (
        lambda frame: pd.concat([frame, frame[:4] / 2]),
        "4 rows of images that it has before, the first is of 00000000_000.png",
        360,
    ),
    "--allow-missing": (
        lambda frame: frame.rename(index={"00000003_001.png": "stranger.png"}),
        "1 of 360 images .* have no labels, the first is stranger.png",
        359,
    ),
    "--drop-nan": (
        lambda frame: frame.mask(frame.index.to_series().isin(frame.index[5:7]), np.nan),
        "2 images with a score that is missing or not finite, the first is 00000001_002.png, Atelectasis",
        358,
    ),
    "--clip": (
        lambda frame: frame.assign(prob_Mass=np.where(np.arange(len(frame)) == 7, 1.2, frame["prob_Mass"])),
        "1 probabilities outside 0..1, the first is 1.2 for Mass of 00000002_001.png",
        360,
    ),
    "--common-findings": (
        lambda frame: frame.drop(columns="prob_Hernia"),
        "no scores of 1 of the 14 findings of the labels, the first is Hernia",
        360,
    ),
}


@pytest.mark.parametrize("option", ODD)
def test_what_is_odd_is_refused_with_its_count_and_the_first_or_allowed_and_noted(broken, option, tmp_path):
    import re

    change, message, images = ODD[option]
    refused = broken(change)
    assert refused.exit_code == 2
    assert re.search(message, " ".join(refused.stderr.split()))
    assert option in refused.stderr
    assert not (tmp_path / "results").exists()
    record = only(broken(change, option))
    assert record["passport"]["images"]["test"] == images
    assert any("left out" in note or "clipped" in note for note in record["notes"])


def test_ids_may_lack_folders_and_endings(broken):
    record = only(broken(lambda frame: frame.rename(index=lambda name: f"/data/{name.removesuffix('.png')}")))
    assert record["passport"]["images"]["test"] == 360
    assert any("without folders and endings" in note for note in record["notes"])


def test_labels_of_any_table_give_the_passport_of_the_same_labels(score, folder, labels):
    table = labels.reset_index().rename(columns={"Image Index": "image"})
    table["patient_id"] = [int(name[:8]) for name in table["image"]]
    table.to_csv(folder / "own.csv", index=False)
    first, second = only(score("net_seed0.csv")), only(score("net_seed0.csv", labels="own.csv"))
    assert first["passport"]["id"] == second["passport"]["id"]


def test_rows_stand_for_ids_only_where_patients_and_labels_of_each_row_agree(score, folder, labels):
    patients = [int(name[:8]) for name in labels.index]
    logits = RANDOM.normal(size=labels.shape)
    for name, order in (("a", slice(None)), ("b", slice(None)), ("c", slice(None, None, -1))):
        np.savez(
            folder / f"{name}.npz",
            test_logits=logits[order],
            test_labels=labels.to_numpy()[order],
            test_patient=np.array(patients)[order],
        )
    assert "--rows-as-ids" in score("a.npz", labels=None).stderr
    records = [only(score(f"{name}.npz", "--rows-as-ids", labels=None)) for name in "abc"]
    assert records[0]["passport"]["id"] == records[1]["passport"]["id"] != records[2]["passport"]["id"]
    assert records[0]["metrics"]["macro_auc"] == pytest.approx(records[2]["metrics"]["macro_auc"], abs=1e-12)


def test_names_and_seeds_of_files(score, folder):
    scores = pd.read_csv(folder / "net_seed0.csv", index_col=0)
    scores.to_csv(folder / "net_seed1.csv")
    answer = score("net_seed0.csv", folder / "net_seed1.csv")
    assert [(r["system"], r["seed"]) for r in answer.json["runs"]] == [("net", 0), ("net", 1)]
    (system,) = answer.json["systems"]
    assert (system["system"], system["seeds"]) == ("net", [0, 1])
    refused = score("net_seed0.csv", folder / "net_seed1.csv", "--seed", "3")
    assert refused.exit_code == 2
    assert "both be seed 3 of the system net" in refused.stderr
    record = only(score("net_seed0.csv", "--name", "mine", "--seed", "7"))
    assert (record["system"], record["seed"]) == ("mine", 7)


def test_labels_are_read_through_the_log(score, tmp_path):
    only(score("net_seed0.csv", "--tune-from-test", "patients"))
    lines = (tmp_path / "results" / "label_reads.jsonl").read_text().splitlines()
    reads = {(read["role"], read["purpose"]) for read in map(json.loads, lines)}
    assert reads == {("tune", "fit"), ("tune", "evaluate"), ("test", "evaluate")}
