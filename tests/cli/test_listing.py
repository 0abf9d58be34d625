"""``cxrbench list``: components, and the options of one."""

from __future__ import annotations

import pytest
from conftest import invoke


def test_a_component_by_name_shows_its_options():
    answer = invoke("list", "thresholds", "dynamic", "--json").json
    assert (answer["kind"], answer["name"], answer["from"]) == ("thresholds", "dynamic", "cxrbench")
    options = {option["name"]: option for option in answer["options"]}
    assert options["min_precision"] == {
        "name": "min_precision",
        "type": "float, ≥ 0, ≤ 1",
        "required": False,
        "default": 0.3,
    }
    assert options["grid"]["type"] == "one of auto, steps, scores"


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("loss", "weighted_bce", "overrides table or list, in TOML"),
        ("backbone", "timm/resnet18", "drop_rate float, ≥ 0, < 1 0.0"),
        ("calibrator", "none", "It takes no options."),
    ],
)
def test_options_are_said_in_words(kind, name, words):
    assert words in " ".join(invoke("list", kind, name).stdout.split())


def test_an_unknown_name_gets_the_near_ones():
    answer = invoke("list", "loss", "weighted_bec")
    assert answer.exit_code == 2
    assert "did you mean weighted_bce" in answer.stderr
