"""The model card of records that lack what newer ones have, and of names that look like markup."""

import copy

import pytest
from conftest import run

from cxrbench.report.model_card import CardFile, model_card

FILES = (CardFile("network.onnx", 12, "ab" * 32),)


@pytest.fixture(scope="module")
def record(begun_store):
    return run(begun_store).json["runs"][0]


def metadata(record):
    return {
        "producer": "cxrbench",
        "intended_use": "research",
        "inputs": {"patient": {"shape": ["batch", 3]}},
        "thresholds": {row["finding"]: row["threshold"] for row in record["per_finding"]},
        "classes": [row["finding"] for row in record["per_finding"]],
        "calibration": {"name": "none", "state": {"fitted": [False] * len(record["per_finding"])}},
        "decision": {"name": "none"},
    }


def test_drawn_images_are_said_to_be_drawn(record):
    assert "Images are drawn" in model_card(record, metadata(record), "onnx", FILES, 0.0)


def test_an_old_record_has_a_card_without_what_it_lacks(record):
    old = copy.deepcopy(record)
    for name in ("intervals", "subgroups", "sanity", "trained_on"):
        del old[name]
    card = model_card(old, metadata(old), "onnx", FILES, 0.0)
    assert "made the run without intervals" in card
    assert "did not check its figures" in card
    assert "None were evaluated" in card


def test_what_is_undefined_is_a_dash(record):
    record = copy.deepcopy(record)
    row = record["per_finding"][0]
    row |= {"auc": None, "threshold": None}
    card = model_card(record, metadata(record), "onnx", FILES, 0.0)
    assert f"| {row['finding']} | – |" in card
    assert "no threshold, hence no decision, for" in card


def test_patients_in_two_roles_are_a_limit(record):
    record = copy.deepcopy(record)
    record["passport"]["shared_patients"] |= {"train/test": 3}
    assert "3 patients are in both roles of train/test" in model_card(
        record, metadata(record), "onnx", FILES, 0.0
    )


def test_names_are_no_markup(record):
    record = copy.deepcopy(record)
    record["passport"]["label_version"] = "a | b\n# <script>alert(1)</script>"
    card = model_card(record, metadata(record), "onnx", FILES, 0.0)
    assert "a \\| b # &lt;script>" in card
    assert "<script" not in card
