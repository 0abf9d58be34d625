"""Axes of a grid, and cells that fail alone."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from conftest import LIGHT, PHANTOM, invoke, run, subprocess_environment, tree

from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.grid import AXES, cells, parse_axis, run_cells
from cxrbench.options import Use
from cxrbench.plugins import installed
from cxrbench.specs import RunSpec, TrainingSpec


@pytest.fixture
def registry():
    return installed().registry


def of(registry, given=None, **texts):
    axes = {name: parse_axis(name, [text]) for name, text in texts.items()}
    return cells({"dataset": PHANTOM, "backbone": LIGHT, **(given or {})}, axes, [], registry)


# Axes


def test_whatever_a_user_varies_is_an_axis():
    data = {"dataset", "exclude", "labels"}
    assert set(AXES) == set(RunSpec.model_fields) - data - {"training"} | set(TrainingSpec.model_fields) - {
        "cycles"
    }


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("image_size", "64,96", [64, 96]),
        ("crop", "0.8, 0.9", [0.8, 0.9]),
        ("split", "official,patient", ["official", "patient"]),
        ("tune", "tune,val", ["tune", "val"]),
        ("seed", "3,1,3", [3, 1]),
        ("weights", "none,imagenet", ["none", "imagenet"]),
        ("augmentation", "none,affine", [Use(name="none"), None]),
    ],
)
def test_a_setting_of_the_run_takes_several_values(registry, name, text, values):
    found = [getattr(spec, name) for spec in of(registry, **{name: text})]
    assert len(found) == len(values)
    for one, value in zip(found, values, strict=True):
        assert value is None or one == value


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("epochs", "1,2", [1, 2]),
        ("batch_size", "8,16", [8, 16]),
        ("learning_rate", "1e-3,1e-4", [1e-3, 1e-4]),
        ("precision", "fp32,bf16", ["fp32", "bf16"]),
        ("schedule", "cosine,plateau", ["cosine", "plateau"]),
        ("ema", "0,0.9", [0, 0.9]),
    ],
)
def test_a_setting_of_the_training_takes_several_values(registry, name, text, values):
    assert [getattr(spec.training, name) for spec in of(registry, **{name: text})] == values


def test_lists_of_a_file_are_axes_and_the_command_line_comes_first(registry):
    suite = {
        "thresholds": ["youden", {"name": "fixed", "options": {"threshold": 0.3}}],
        "loss": "bce",
        "seed": [0, 1],
        "training": {"epochs": [3, 4], "batch_size": 8},
    }
    specs = of(registry, suite, seed="7")
    told = [(s.thresholds.name, s.training.epochs) for s in specs]
    # The last axis varies fastest.
    assert told == [("youden", 3), ("youden", 4), ("fixed", 3), ("fixed", 4)]
    assert {(s.loss.name, s.seed, s.training.batch_size) for s in specs} == {("bce", 7, 8)}
    assert specs[2].thresholds.options == {"threshold": 0.3}


def test_cycles_are_a_list_by_nature(registry):
    cycles = [{"epochs": 1}, {"epochs": 2, "learning_rate": 1e-4}]
    (spec,) = of(registry, {"training": {"cycles": cycles}})
    assert [cycle.epochs for cycle in spec.training.cycles] == [1, 2]


def test_cells_that_come_to_the_same_are_one(registry):
    assert len(of(registry, thresholds="fixed,fixed:threshold=0.5,fixed:threshold=0.4", seed="0,0")) == 2


@pytest.mark.parametrize(
    ("given", "texts", "said"),
    [
        ({"seed": []}, {}, "'seed' is an empty list"),
        ({"training": {"epochs": []}}, {}, "'epochs' is an empty list"),
        ({"seed": [0, "x"]}, {}, "The setting seed cannot be 'x'"),
        ({"labels": ["a", "b"]}, {}, "The setting labels cannot be"),
        ({"training": 5}, {"epochs": "1"}, "The setting training cannot be 5"),
        ({}, {"precision": "fp32,fp8"}, "The setting training.precision cannot be 'fp8'"),
        ({}, {"loss": "bce,bcee"}, "did you mean bce"),
        ({}, {"test_dataset": "nihh"}, "There is no dataset 'nihh'"),
        ({}, {"seed": "0,"}, "The setting seed cannot be ''"),
    ],
)
def test_what_is_wrong_in_any_cell_refuses_all(registry, given, texts, said):
    with pytest.raises(UsageError, match=said):
        of(registry, given, **texts)


def test_a_suite_of_three_lines(tmp_path):
    file = tmp_path / "suite.toml"
    file.write_text('dataset = "phantom"\nloss = ["bce", "weighted_bce"]\nthresholds = ["youden", "fixed"]\n')
    plan = invoke("run", "--config", file, "--results", tmp_path / "r", "--dry-run", "--json").json
    assert [(r["loss"], r["thresholds"]) for r in plan["runs"]] == [
        ("bce", "youden"),
        ("bce", "fixed"),
        ("weighted_bce", "youden"),
        ("weighted_bce", "fixed"),
    ]
    assert plan["trainings"] == 2


def test_the_plan_of_36_cells_names_what_differs_and_groups_by_network(tmp_path):
    axes = ("--loss", "bce,weighted_bce", "--seed", "0,1,2", "--calibrator")
    line = ("run", "--dataset", PHANTOM, "--backbone", LIGHT, *axes, "none,temperature", "--dry-run")
    shown = invoke(*line, "--thresholds", "youden,dynamic,fixed", "--results", tmp_path / "r").stdout
    assert "36 runs: 6 networks to train" in shown
    (common,) = [row for row in shown.splitlines() if row.startswith("all: ")]
    assert common == "all: densenet_fpn:use=patient"
    rows = [row for row in shown.splitlines() if "evaluate" in row]
    assert len(rows) == 36
    assert sum(" trained " in row for row in rows) == 6
    assert not any("densenet_fpn" in row for row in rows)


# Cells that fail


def outcome(registry, make, do):
    failures = []
    specs = of(registry, seed="0,1,2")
    run_cells(specs, registry, make, do, failures.append)
    return [(failure.cell["seed"], failure.reason) for failure in failures]


def test_any_exception_while_a_job_is_made_or_done_is_its_cells_failure(registry):
    done = []

    def make(spec):
        return 1 % spec.seed

    def do(place, spec, job):
        done.append(place)
        if spec.seed == 2:
            raise UsageError("Too late to refuse the call.")

    assert outcome(registry, make, do) == [
        (0, "integer modulo by zero"),
        (2, "Too late to refuse the call."),
    ]
    assert done == [2, 3]


def test_a_wrong_request_refuses_the_call_before_any_work(registry):
    def make(spec):
        if spec.seed == 2:
            raise UsageError("Nothing fits; give something else.")

    with pytest.raises(UsageError, match="Nothing fits"):
        outcome(registry, make, lambda *job: pytest.fail("work was done"))


def test_data_that_one_cell_cannot_use_stops_no_other(registry):
    done = []

    def make(spec):
        if spec.seed == 1:
            raise CxrbenchError("There are no images; add some.")

    failures = outcome(registry, make, lambda place, spec, job: done.append(spec.seed))
    assert failures == [(1, "There are no images; add some.")]
    assert done == [0, 2]


def test_the_only_cell_refuses_the_call(registry):
    def make(spec):
        raise CxrbenchError("There are no images; add some.")

    with pytest.raises(CxrbenchError, match="There are no images"):
        run_cells(of(registry), registry, make, lambda *job: None, lambda failure: None)


BREAKING = """
from cxrbench.hookspecs import hookimpl

class Breaking:
    tasks = frozenset({"multilabel"})

    def __init__(self):
        raise ZeroDivisionError("made [wrong]")

@hookimpl
def register_losses(register):
    register("breaking", "THIS:Breaking", version="1", summary="Cannot be made")
"""


@pytest.fixture
def broken(tmp_path, plugin):
    plugin(BREAKING)
    return tmp_path / "results"


def test_a_component_that_cannot_be_made_is_listed_with_its_trace_in_a_file(broken):
    line = ("run", "--dataset", PHANTOM, "--backbone", LIGHT, "--epochs", 1, "--results", broken)
    answer = invoke(*line, "--loss", "breaking,bce")
    assert answer.exit_code == 1
    (path,) = (broken / "failures").iterdir()
    assert path.name.startswith("phantom-densenet_fpn-breaking-none-dynamic-s0-")
    assert "ZeroDivisionError: made [wrong]" in path.read_text()
    assert "1 failed" in answer.stdout
    assert "made [wrong]" in answer.stdout
    assert path.name[-12:] in answer.stdout.replace("\n", "")
    assert "cell 2 of 2: " in answer.stderr
    assert "2 cells in" in answer.stderr

    again = invoke(*line, "--loss", "breaking,bce", "--json")
    assert again.json["trainings"] == 0
    assert [cell["trace_file"] for cell in again.json["failed"]] == [str(path)]
    assert [r["loss"] for r in again.json["runs"]] == ["bce"]
    assert invoke("verify", "--results", broken).exit_code == 0


def test_a_dry_run_says_which_cell_would_fail_and_writes_nothing(broken):
    answer = run(broken, "--loss", "breaking,bce", "--dry-run")
    assert answer.exit_code == 1
    assert [r["loss"] for r in answer.json["runs"]] == ["bce"]
    (failure,) = answer.json["failed"]
    assert "'breaking'" in failure["reason"]
    assert "cannot be made (ZeroDivisionError: made [wrong])" in failure["reason"]
    assert not broken.exists()


@pytest.mark.slow
def test_killed_the_same_command_goes_on_with_the_cells_that_are_left(tmp_path):
    results = tmp_path / "results"
    command = ["run", "--dataset", PHANTOM, "--backbone", LIGHT, "--epochs", "1", "--seed", "0,1,2,3"]
    command += ["--thresholds", "fixed", "--device", "cpu", "--json", "--results", str(results)]
    process = subprocess.Popen(
        [sys.executable, "-m", "cxrbench", *command],
        env=subprocess_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while len(list(results.glob("runs/*/artifact.json"))) < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    left = tree(results / "runs")
    assert len(list(results.glob("runs/*/artifact.json"))) < 4, "it was killed too late to show anything"

    answer = invoke(*command)
    assert answer.exit_code == 0
    assert [r["seed"] for r in answer.json["runs"]] == [0, 1, 2, 3]
    assert answer.json["trainings"] <= 2
    assert answer.stderr.count("already done, nothing to do") >= 2
    assert left.items() <= tree(results / "runs").items()
    (system,) = answer.json["systems"]
    assert system["seeds"] == [0, 1, 2, 3]
    assert json.dumps(system)
