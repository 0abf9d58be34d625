"""Settings of the training as a user gives them: in a TOML file, and by --set."""

import json

import pandas as pd
import pytest
from conftest import invoke, run

CYCLES = """
loss = "weighted_bce:weights=published"
[training]
schedule = "plateau"
learning_rate = 0.01
[[training.cycles]]
epochs = 1
[[training.cycles]]
learning_rate = 0.004
[[training.cycles]]
epochs = 1
loss = { overrides = { Pneumonia = 4.5, Fibrosis = 3.8, Consolidation = 4.3 } }
"""


def config(tmp_path, text):
    file = tmp_path / "my.toml"
    file.write_text(text)
    return "--config", file


@pytest.fixture(scope="module")
def cycled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cycles")
    return run(folder / "results", *config(folder, CYCLES)), folder


def test_cycles_are_trained_one_after_another_and_said(cycled):
    answer, _ = cycled
    (made,) = answer.json["runs"]
    epochs = pd.read_csv(f"{made['path']}/epochs.csv")
    assert epochs["cycle"].tolist() == [1, 2, 2, 3]
    assert epochs["learning_rate"].tolist() == pytest.approx([0.01, 0.004, 0.004, 0.01])
    assert "4 epochs in 3 cycles" in answer.stderr
    assert "epoch  4/4" in answer.stderr


def test_a_run_with_cycles_is_repeated_by_its_own_config(cycled):
    answer, folder = cycled
    (made,) = answer.json["runs"]
    again = invoke(
        "run", "--config", f"{made['path']}/config.toml", "--results", folder / "results", "--json"
    )
    assert again.json["trainings"] == 0
    assert [r["run_id"] for r in again.json["runs"]] == [made["run_id"]]


def steps(tmp_path, text):
    answer = run(tmp_path / "none", *config(tmp_path, text), "--dry-run")
    return [step["id"] for step in answer.json["runs"][0]["steps"] if step["stage"] == "train"]


def test_an_option_that_a_cycle_repeats_is_not_another_training(tmp_path):
    spelled_out = CYCLES.replace(
        "learning_rate = 0.004\n", 'learning_rate = 0.004\nloss.weights = "published"\n'
    )
    other = CYCLES.replace("learning_rate = 0.004\n", 'learning_rate = 0.004\nloss.weights = "log"\n')
    assert steps(tmp_path, spelled_out) == steps(tmp_path, CYCLES) != steps(tmp_path, other)


@pytest.mark.parametrize(
    ("cycle", "sentence"),
    [
        ("loss = { gamma = 2 }", "The loss 'weighted_bce' has no option 'gamma'; its options are weights"),
        ("loss = { overrides = { Pneumonie = 2 } }", "did you mean Pneumonia"),
        ("epoch = 3", "no setting 'training.cycles.0.epoch'; did you mean epochs?"),
        ("epochs = 0", "training.cycles.0.epochs cannot be 0: input should be greater than or equal to 1."),
    ],
)
def test_a_wrong_cycle_is_refused_before_any_work(tmp_path, cycle, sentence):
    answer = run(tmp_path / "results", *config(tmp_path, f"[[training.cycles]]\n{cycle}\n"))
    assert answer.exit_code == 2
    assert sentence in answer.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("value", ["1", "some"])
def test_a_wrong_batch_size_is_named_as_it_was_given(tmp_path, value):
    answer = run(tmp_path / "results", "--set", f"training.batch_size={value}")
    assert answer.exit_code == 2
    assert f"The setting training.batch_size cannot be '{value}': input should be" in answer.stderr


def test_on_a_cpu_the_automatic_batch_size_is_the_usual_one(tmp_path):
    (automatic,) = run(tmp_path, "--set", "training.batch_size=auto", "--dry-run").json["runs"]
    (usual,) = run(tmp_path, "--dry-run").json["runs"]
    assert json.dumps(automatic) == json.dumps(usual)
    assert automatic["spec"]["training"]["batch_size"] == 32
