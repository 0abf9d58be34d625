"""``cxrbench verify --roles``: a store as it was made is proven, one that was tampered with is caught."""

import json

import pytest
from conftest import invoke, run


@pytest.fixture
def store(begun_store):
    return begun_store


@pytest.fixture
def tampered(begun, tmp_path):
    return begun(tmp_path / "results")


def proof(results):
    answer = invoke("verify", "--roles", "--results", results, "--json")
    return answer.exit_code, answer.json


def artifact(results, stage):
    return next(iter(sorted((results / "artifacts" / stage).glob("*/artifact.json"))))


def labels_of(results, role):
    for path in (results / "artifacts" / "labels").glob("*/artifact.json"):
        if json.loads(path.read_text())["inputs"]["role"] == role:
            return f"labels/{path.parent.name}"
    raise AssertionError(role)


def test_a_store_as_it_was_made_is_proven(store):
    code, found = proof(store)
    assert (code, found["violations"], found["not_shown"]) == (0, [], [])
    fits = 1 + len(list((store / "artifacts" / "calibrate").iterdir())) + 1
    assert found["checked"]["no fit has test labels among its parents"] == fits
    shown = invoke("verify", "--roles", "--results", store)
    assert "No violation." in shown.stdout


def test_a_fit_that_logged_a_read_of_test_is_caught(tampered):
    step = f"threshold/{artifact(tampered, 'threshold').parent.name}"
    line = {
        "time": "2026-01-01T00:00:00+00:00",
        "role": "test",
        "labels": labels_of(tampered, "test"),
        "reader": step,
        "purpose": "fit",
    }
    with (tampered / "label_reads.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")
    code, found = proof(tampered)
    assert code == 1
    assert found["violations"][0].startswith(f"{step} read labels of test")
    assert "VIOLATED" in invoke("verify", "--roles", "--results", tampered).stdout


def test_a_fit_that_called_its_read_an_evaluation_is_caught(tampered):
    path = tampered / "label_reads.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    read = next(line for line in lines if line["reader"].startswith("calibrate/"))
    path.write_text(
        "".join(json.dumps(line) + "\n" for line in [*lines, read | {"role": "test", "purpose": "evaluate"}])
    )
    assert proof(tampered)[0] == 1


def test_a_threshold_made_of_test_labels_is_caught(tampered):
    path = artifact(tampered, "threshold")
    record = json.loads(path.read_text())
    record["parents"][-1] = labels_of(tampered, "test")
    path.write_text(json.dumps(record))
    code, found = proof(tampered)
    assert code == 1
    assert "labels of test" in found["violations"][0]
    # By its ids too, whatever the artifact calls its role.
    assert any("was fitted on" in each and "images" in each for each in found["violations"])


def test_lines_that_are_gone_from_the_log_are_missed(tampered):
    path = tampered / "label_reads.jsonl"
    kept = [line for line in path.read_text().splitlines() if "threshold/" not in line]
    path.write_text("\n".join(kept) + "\n")
    code, found = proof(tampered)
    assert code == 1
    assert "no line of the log" in found["violations"][0]


def test_a_damaged_line_is_said_in_one_sentence(tampered):
    with (tampered / "label_reads.jsonl").open("a") as log:
        log.write('{"time": \n')
    answer = invoke("verify", "--roles", "--results", tampered)
    assert answer.exit_code == 1
    assert "is damaged" in answer.stderr


def test_a_split_by_image_claims_no_patients_apart_and_says_so(tmp_path):
    assert run(tmp_path / "results", "--split", "image", "--tune", "val").exit_code == 0
    code, found = proof(tmp_path / "results")
    assert code == 0
    assert len(found["not_shown"]) == 1
    assert "split by image" in found["not_shown"][0]
    record = invoke("show", "--results", tmp_path / "results", "--json").json[0]
    assert "label_leak" in [each["check"] for each in record["sanity"]]


def test_it_is_about_the_whole_store(store):
    answer = invoke("verify", "phantom", "--roles", "--results", store)
    assert answer.exit_code == 2
