"""The page on files names every file of a run and what is behind it, and no key that there is not."""

import json
import re

import pytest
from conftest import run
from snippets import ROOT

PAGE = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    assert run(root, "--calibrator", "temperature").exit_code == 0
    return root


def test_every_file_is_named(store):
    files = {
        path.name
        for path in [*store.glob("artifacts/**/*"), *store.glob("runs/**/*"), *store.glob("*")]
        if path.is_file() and path.suffix != ".png"
    }
    assert {name for name in files if f"`{name}`" not in PAGE} == set()
    folders = {path.name for path in store.iterdir() if path.is_dir()}
    assert {name for name in folders if f"`{name}/" not in PAGE} == set()


def test_stages_that_are_named_are_those_that_there_are(store):
    stages = {path.name for path in store.glob("artifacts/*")}
    section = PAGE.partition("## Artifacts")[2].partition("###")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == stages


def test_keys_that_are_named_are_in_a_run(store):
    record = json.loads(next(store.glob("runs/*/run.json")).read_text())
    rows = re.findall(
        r"^\| (`.*?) \|", PAGE.partition("## A run")[2].partition("\n`thresholds")[0], re.MULTILINE
    )
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    # Not of a network that is tested on its own data.
    assert named - record.keys() == {"source"}


def test_points_have_what_is_named(store):
    points = json.loads(next(store.glob("runs/*/thresholds.json")).read_text())
    sentence = PAGE.partition("`thresholds.json` has for each finding")[2].partition("\n")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == set(points["Effusion"])
