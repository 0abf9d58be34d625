"""``cxrbench tune``: a search on the phantom, killed and gone on with, and what it leaves."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from conftest import LIGHT, invoke, subprocess_environment

RECIPE = f"""
dataset = "phantom:train_val=240,test=80"
backbone = "{LIGHT}"

[training]
precision = "fp32"
batch_size = 16
select = "macro_auc"

[search]
budget = 4
eta = 2
trials = 8

[search.space]
training.learning_rate = {{ low = 1e-5, high = 0.1, log = true }}
training.schedule = {{ choices = ["cosine", "constant"] }}
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


def tune(recipe, results, *more):
    return invoke("tune", recipe, "--device", "cpu", "--json", "--results", results, *more)


def outcomes(answer):
    """What trials came to, without what depends on the clock."""
    return [{k: v for k, v in trial.items() if k != "seconds"} for trial in answer.json["trials"]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A search that nothing disturbed: its answer and its store."""
    folder = tmp_path_factory.mktemp("whole")
    path = folder / "small.toml"
    path.write_text(RECIPE)
    return tune(path, folder / "results"), folder / "results"


def test_hyperband_ends_some_trials_at_rungs_and_the_best_is_the_best(whole):
    answer, _ = whole
    trials = answer.json["trials"]
    assert [trial["trial"] for trial in trials] == list(range(1, 9))
    states = {trial["state"] for trial in trials}
    assert states == {"complete", "pruned"}
    assert all(trial["epochs"] in (1, 2) for trial in trials if trial["state"] == "pruned")
    complete = [trial for trial in trials if trial["state"] == "complete"]
    assert all(trial["epochs"] == 4 for trial in complete)
    assert answer.json["best"]["score"] == max(trial["score"] for trial in complete)


def test_a_score_is_the_trainings_own_log(whole):
    answer, results = whole
    best = answer.json["best"]
    with (results / "artifacts" / best["train"] / "epochs.csv").open() as file:
        kept = [row for row in csv.DictReader(file) if row["best"] == "True"][-1]
    assert best["score"] == float(kept["macro_auc"])


def test_trials_that_were_ended_leave_nothing_half(whole):
    answer, results = whole
    trained = [trial["train"] for trial in answer.json["trials"] if trial["state"] == "complete"]
    assert sorted(f"train/{path.name}" for path in results.glob("artifacts/train/*")) == sorted(set(trained))
    assert not list(results.glob("partial/*"))
    assert invoke("verify", "--results", results, "--json").json["problems"] == []


def test_only_labels_of_train_and_val_are_read(whole):
    _, results = whole
    reads = [json.loads(line) for line in (results / "label_reads.jsonl").read_text().splitlines()]
    assert {read["role"] for read in reads} == {"train", "val"}


def test_the_best_recipe_trains_nothing_anew(whole, tmp_path):
    answer, results = whole
    mine = tmp_path / "results"
    shutil.copytree(results, mine)
    run = invoke("run", "--config", answer.json["recipe"], "--device", "cpu", "--json", "--results", mine)
    assert run.json["trainings"] == 0
    (record,) = run.json["runs"]
    assert answer.json["best"]["train"] in record["weights"]
    learning_rate = answer.json["best"]["values"]["training.learning_rate"]
    assert record["spec"]["training"]["learning_rate"] == learning_rate


def test_it_leaves_a_table_and_figures(whole):
    answer, results = whole
    folder = results / "tuning" / "small"
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [trial["state"] for trial in answer.json["trials"]]
    assert [float(row["training.learning_rate"]) for row in rows] == [
        trial["values"]["training.learning_rate"] for trial in answer.json["trials"]
    ]
    for name in ("history", "curves", "values"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_search_does_nothing_and_more_trials_go_on_from_it(whole, recipe, tmp_path):
    answer, results = whole
    mine = tmp_path / "results"
    shutil.copytree(results, mine)
    again = tune(recipe, mine)
    assert again.json["trainings"] == 0
    assert outcomes(again) == outcomes(answer)
    more = tune(recipe, mine, "--trials", 9)
    assert outcomes(more)[:8] == outcomes(answer)
    assert len(more.json["trials"]) == 9


@pytest.mark.slow
def test_killed_and_started_again_it_ends_the_same(whole, recipe, tmp_path):
    answer, _ = whole
    cut = tmp_path / "cut"
    command = [sys.executable, "-m", "cxrbench", "tune", recipe, "--device", "cpu", "--results", cut]
    process = subprocess.Popen(
        [str(part) for part in command],
        env=subprocess_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        table, deadline = cut / "tuning" / "small" / "trials.csv", time.monotonic() + 120
        while not table.exists() or len(table.read_text().splitlines()) < 3:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.02)  # into the next trial
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    resumed = tune(recipe, cut)
    assert outcomes(resumed) == outcomes(answer)
    assert not list(cut.glob("partial/*"))


def test_another_search_does_not_go_on_in_its_folder(whole, recipe):
    _, results = whole
    refused = tune(recipe, results, "--budget", 3)
    assert refused.exit_code == 2
    assert "--name" in refused.stderr
    refused = tune(recipe, results, "--set", "seed=1")
    assert refused.exit_code == 2


def test_a_trial_that_fails_is_a_row_and_the_others_go_on(recipe, tmp_path):
    # With 3e38 as learning rate the second step's loss is not finite.
    recipe.write_text(
        RECIPE.replace("low = 1e-5, high = 0.1, log = true", "choices = [1e-2, 3e38]").replace(
            "trials = 8", "trials = 4"
        )
    )
    answer = tune(recipe, tmp_path / "results")
    states = {trial["values"]["training.learning_rate"]: trial["state"] for trial in answer.json["trials"]}
    assert answer.exit_code == 0
    assert states[3e38] == "failed"
    assert states[1e-2] in ("complete", "pruned")
    assert "loss became" in next(trial["reason"] for trial in answer.json["trials"] if "reason" in trial)


def test_after_the_timeout_no_trial_begins(recipe, tmp_path):
    answer = tune(recipe, tmp_path / "results", "--timeout", 0)
    assert answer.json["trials"] == []
    assert answer.json["best"] is None


def test_a_metric_that_does_not_fit_the_task_is_refused_and_leaves_nothing(recipe, tmp_path):
    recipe.write_text(RECIPE.replace("[search]\n", '[search]\nmetric = "accuracy"\n'))
    refused = tune(recipe, tmp_path / "results")
    assert refused.exit_code == 2
    assert "multilabel" in refused.stderr
    assert not (tmp_path / "results" / "tuning").exists()


def test_a_recipe_that_comes_along_is_searched_by_its_name(tmp_path):
    answer = invoke(
        *("tune", "scratch_cnn_tuned", "--dataset", "phantom:train_val=300,test=80", "--device", "cpu"),
        *("--set", "image_size=64", "--set", "images_per_role=24", "--budget", 1, "--trials", 1, "--json"),
        *("--set", "dense.pooling=max", "--results", tmp_path),
    )
    assert answer.exit_code == 0, answer.stderr
    (trial,) = answer.json["trials"]
    assert answer.json["metric"] == "accuracy"
    assert trial["values"].keys() == {"head.layers", "head.dropout", "head.neurons", "training.learning_rate"}
    assert trial["values"]["head.neurons"] in range(1024, 4097, 512)


def test_a_recipe_without_a_search_is_refused_and_leaves_nothing(recipe, tmp_path):
    recipe.write_text(RECIPE.partition("[search]")[0])
    refused = tune(recipe, tmp_path / "results")
    assert refused.exit_code == 2
    assert "[search]" in refused.stderr
    assert not (tmp_path / "results").exists()
