"""Stores that earlier versions wrote stay readable; the fixture is never made again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import invoke, tree

from cxrbench.evaluation.stored import Evaluation
from cxrbench.predictions import Predictions

FIXTURE = Path(__file__).parent / "fixtures" / "store_v1"
DYNAMIC = "phantom-densenet_fpn-weighted_bce-none-dynamic-s0"


@pytest.fixture
def old(tmp_path):
    shutil.copytree(FIXTURE, tmp_path / "results")
    return tmp_path / "results"


def test_the_fixture_is_of_version_1():
    assert json.loads((FIXTURE / "store.json").read_text())["schema_version"] == 1
    for record in FIXTURE.rglob("artifact.json"):
        assert json.loads(record.read_text())["schema_version"] == 1


def test_show_reads_its_runs(old):
    listed = invoke("show", "--results", old, "--json")
    assert listed.exit_code == 0
    assert sorted(record["thresholds"] for record in listed.json) == ["dynamic", "youden"]
    record = invoke("show", DYNAMIC, "--results", old, "--json").json
    assert record["metrics"]["images"] == 12
    assert len(record["per_finding"]) == 14
    assert record["passport"]["images"] == {"train": 39, "val": 4, "tune": 17, "test": 12}
    for arguments in ((), (DYNAMIC,)):
        shown = invoke("show", *arguments, "--results", old)
        assert shown.exit_code == 0
        assert "phantom (drawn images, not patients)" in shown.stdout


def test_verify_finds_nothing_wrong_with_it(old):
    answer = invoke("verify", "--results", old, "--json")
    assert answer.exit_code == 0
    assert answer.json == {"checked": len(list(FIXTURE.rglob("artifact.json"))), "problems": []}


def test_gc_knows_what_its_runs_need(old):
    before = tree(old)
    assert invoke("store", "gc", "--dry-run", "--results", old, "--json").json["freed"] == []
    assert tree(old) == before
    invoke("store", "rm", DYNAMIC, "--results", old)
    freed = invoke("store", "gc", "--results", old, "--json").json["freed"]
    assert sorted(name.split("/")[1] for name in freed) == ["evaluate", "threshold"]
    assert invoke("verify", "--results", old, "--json").json["problems"] == []


def test_its_predictions_are_read(old):
    sizes = []
    for path in sorted((old / "artifacts" / "predict").glob("*/predictions.parquet")):
        predictions = Predictions.read(path)
        assert predictions.task.kind == "multilabel"
        assert len(predictions.task.classes) == 14
        assert np.isfinite(predictions.matrix(predictions.table.index)).all()
        sizes.append(len(predictions.table))
    assert sorted(sizes) == [12, 17]


def change_record(old, change):
    (path,) = old.glob(f"runs/{DYNAMIC}-*/run.json")
    path.write_text(change(path.read_text()))
    return invoke("show", DYNAMIC, "--results", old)


def test_a_run_of_a_newer_version_is_refused(old):
    answer = change_record(old, lambda text: json.dumps(json.loads(text) | {"schema_version": 2}))
    assert answer.exit_code == 1
    assert "newer cxrbench" in answer.stderr


def test_a_damaged_run_is_said_in_one_sentence_and_can_be_removed(old):
    answer = change_record(old, lambda text: text[:100])
    assert answer.exit_code == 1
    assert "missing or damaged" in answer.stderr
    assert invoke("verify", DYNAMIC, "--results", old).exit_code == 1
    assert invoke("store", "rm", DYNAMIC, "--results", old).exit_code == 0
    assert len(invoke("show", "--results", old, "--json").json) == 1


def test_a_run_without_replicates_is_shown_without_intervals_and_says_so(old):
    shown = invoke("show", DYNAMIC, "--results", old)
    assert "No intervals" in shown.stdout
    assert "[." not in shown.stdout
    record = invoke("show", DYNAMIC, "--results", old, "--json").json
    assert Evaluation.of(old, record) is None
    assert invoke("verify", "--roles", "--results", old).exit_code == 0
