"""Networks that others trained: evaluated as they are, with nothing trained."""

from __future__ import annotations

import json
from pathlib import Path

from conftest import PHANTOM, invoke, run
from safetensors.torch import load_file, save_file

TELLS = """
from dataclasses import dataclass

from cxrbench.backbones.prior import Prior
from cxrbench.hookspecs import hookimpl

@dataclass(frozen=True, kw_only=True)
class Teller(Prior):
    '''Knows a few findings.'''

    findings: tuple[str, ...] = ("mass", "Effusion", "Nodule")

    @property
    def classes(self):
        return self.findings

    def recommend(self):
        return {"epochs": 0, "crop": 0.8}

@hookimpl
def register_backbones(register):
    register("teller", "THIS:Teller", version="1", summary="a test's")
"""


def record_of(answer):
    assert answer.exit_code == 0, answer.stderr
    (row,) = answer.json["runs"]
    return json.loads((Path(row["path"]) / "run.json").read_text(encoding="utf-8"))


def test_the_weights_of_a_trained_network_taken_as_they_are_give_its_figures(begun, tmp_path):
    trained = record_of(run(begun(tmp_path / "a")))
    weights = tmp_path / "a" / trained["weights"]
    answer = run(tmp_path / "b", "--epochs", 0, "--weights", weights)
    taken = record_of(answer)
    assert taken["metrics"] == trained["metrics"]
    assert taken["per_finding"] == trained["per_finding"]
    assert (taken["parameters"], taken["flops"]) == (trained["parameters"], trained["flops"])
    assert answer.json["trainings"] == 0
    for name in ("training_seconds", "optimizer", "trained_on"):
        assert taken[name] is None
        assert trained[name] is not None
    shared = taken["passport"]["shared_patients"]
    assert {pair for pair, count in shared.items() if count is None} == {
        pair for pair in shared if {"train", "val"} & set(pair.split("/"))
    }
    assert taken["passport"]["id"] == trained["passport"]["id"]
    assert "weighted_bce" not in taken["run_id"]
    reads = [json.loads(line) for line in (tmp_path / "b" / "label_reads.jsonl").read_text().splitlines()]
    assert {read["role"] for read in reads} == {"tune", "test"}
    assert invoke("verify", "--roles", "--results", tmp_path / "b").exit_code == 0
    shown = invoke("show", taken["run_id"], "--results", tmp_path / "b").stdout
    assert "not trained here" in shown
    # Beside the one that was trained, only the other is told to be trained elsewhere.
    record_of(run(tmp_path / "a", "--epochs", 0, "--weights", weights, "--thresholds", "youden"))
    board = invoke("leaderboard", "--results", tmp_path / "a", "--html", tmp_path / "b.html").stdout
    assert board.count("not trained here") == 1
    assert board.count("weighted_bce") == 2


def test_what_cannot_be_taken_as_it_is_is_refused(begun_store, tmp_path):
    trained = record_of(run(begun_store))
    weights = begun_store / trained["weights"]
    tensors = load_file(weights)
    part = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.3")}
    save_file(part, tmp_path / "part.safetensors")
    given = ("--epochs", 0, "--weights")
    for said, arguments in {
        "--weights FILE": ("--epochs", 0),
        "leave out seed": (*given, weights, "--seed", 1),
        "leave out averaged": (*given, weights, "--set", "averaged=2"),
        "without --test-dataset": (*given, weights, "--test-dataset", PHANTOM),
    }.items():
        answer = run(tmp_path / "b", *arguments)
        assert answer.exit_code == 2
        assert said in " ".join(answer.stderr.split())
    assert run(tmp_path / "b", *given, tmp_path / "part.safetensors").exit_code == 1
    assert not list((tmp_path / "b").glob("runs/*"))


def test_a_network_that_tells_a_few_findings_has_these_for_its_task(tmp_path, plugin):
    import torch

    plugin(TELLS)
    save_file({"bias": torch.tensor([0.1, -1.0, 2.0])}, tmp_path / "w.safetensors")
    answer = run(tmp_path / "r", "--weights", tmp_path / "w.safetensors", "--epochs", 0, backbone="teller")
    record = record_of(answer)
    assert [row["finding"] for row in record["per_finding"]] == ["Mass", "Effusion", "Nodule"]
    (note,) = [note for note in record["notes"] if note.startswith("Left out")]
    assert "Hernia" in note
    assert "Mass" not in note
    # As the network recommends, over the data set.
    assert record["spec"]["crop"] == 0.8

    config = tmp_path / "c.toml"
    config.write_text('[backbone]\nname = "teller"\noptions = { findings = ["Mass", "Fracture"] }\n')
    answer = invoke(
        "run",
        "--dataset",
        PHANTOM,
        "--config",
        config,
        "--weights",
        tmp_path / "w.safetensors",
        "--results",
        tmp_path / "r",
    )
    assert answer.exit_code != 0
    assert "no Fracture" in " ".join(answer.stderr.split())
