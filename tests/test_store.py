import json
import os
import signal
import subprocess
import sys

import pytest
from conftest import invoke, subprocess_environment, tree

from cxrbench.errors import CxrbenchError
from cxrbench.reporter import Reporter
from cxrbench.store import SCHEMA_VERSION, Garbage, Step, Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results", Reporter(quiet=True))


def writes(**files):
    def make(folder):
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)

    return make


def run_step(label, *parents, **inputs):
    return Step("run", inputs, parents, label=label)


TRAIN = Step("train", {"seed": 0})
PREDICT = Step("predict", {"role": "test"}, (TRAIN,))


def test_an_artifact_is_made_once_and_records_what_it_was_made_from(store):
    store.ensure(TRAIN, writes(w_txt="weights"))
    made = store.ensure(PREDICT, writes(p_txt="logits"))
    again = store.ensure(PREDICT, lambda folder: pytest.fail("made twice"))
    assert again == made
    assert made.references == [TRAIN.id]
    assert made.record["inputs"] == {"role": "test"}
    assert made.record["schema_version"] == SCHEMA_VERSION
    assert set(made.record["files"]) == {"p.txt"}
    assert made.record["made_with"]["torch"]


def test_a_key_follows_from_stage_inputs_and_parents_alone():
    assert Step("train", {"a": 1, "b": 2}).key == Step("train", {"b": 2, "a": 1}).key
    assert len({s.key for s in (TRAIN, Step("train", {"seed": 1}), Step("predict", {"seed": 0}))}) == 3
    assert PREDICT.key != Step("predict", {"role": "test"}, (Step("train", {"seed": 1}),)).key


class BrokenError(Exception):
    pass


def fails_after(name):
    def make(folder):
        (folder / name).write_text("half")
        raise BrokenError

    return make


@pytest.mark.parametrize("resumable", [False, True])
def test_what_fails_is_not_published_and_only_resumable_work_is_kept(store, resumable):
    with pytest.raises(BrokenError):
        store.ensure(TRAIN, fails_after("half"), resumable=resumable)
    assert not store.has(TRAIN)
    assert store.ids() == []
    found = []
    store.ensure(TRAIN, lambda folder: found.extend(p.name for p in folder.iterdir()), resumable=resumable)
    assert found == (["half"] if resumable else [])


def test_what_a_process_left_that_died_while_publishing_is_not_published(store):
    def make(folder):
        (folder / "weights").write_text("w")

    partial = store.root / "partial" / TRAIN.id.replace("/", "-")
    partial.mkdir(parents=True)
    (partial / "artifact.json").write_text("{}")
    (partial / ".epochs.csv.123.tmp").write_text("torn")
    artifact = store.ensure(TRAIN, make, resumable=True)
    assert set(artifact.record["files"]) == {"weights"}
    assert store.problems(TRAIN.id) == []


def test_a_removal_that_was_interrupted_does_not_stand_in_the_way(store):
    store.ensure(TRAIN, writes(w_txt="weights"))
    (store.folder(TRAIN.id) / "artifact.json").unlink()
    assert store.folder(TRAIN.id) in store.garbage().folders
    store.ensure(TRAIN, writes(w_txt="weights"))
    assert store.problems(TRAIN.id) == []


def test_opening_a_store_writes_nothing_and_the_first_work_makes_it(tmp_path):
    store = Store(tmp_path / "new", Reporter(quiet=True))
    assert not store.has(TRAIN)
    assert not (tmp_path / "new").exists()
    store.ensure(TRAIN, writes(w_txt="weights"))
    assert json.loads((tmp_path / "new" / "store.json").read_text()) == {"schema_version": SCHEMA_VERSION}


def test_there_being_no_store_is_said(tmp_path):
    with pytest.raises(CxrbenchError, match="--results"):
        Store(tmp_path, Reporter(quiet=True), create=False)


def test_a_newer_store_or_artifact_is_refused(store):
    store.ensure(TRAIN, writes(w_txt="weights"))
    path = store.folder(TRAIN.id) / "artifact.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(CxrbenchError, match="newer cxrbench"):
        store.read(TRAIN.id)
    (store.root / "store.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(CxrbenchError, match="newer cxrbench"):
        Store(store.root, Reporter(quiet=True))


@pytest.mark.parametrize("text", ["", "{}", "{"])
def test_a_damaged_marker_is_said_in_one_sentence(tmp_path, text):
    (tmp_path / "store.json").write_text(text)
    answer = invoke("show", "--results", tmp_path)
    assert answer.exit_code == 1
    assert "store.json is damaged" in answer.stderr


# Two processes


HOLD = """
import sys, time
from pathlib import Path
from cxrbench.reporter import Reporter
from cxrbench.store import Step, Store

def make(folder):
    (folder / "by").write_text(sys.argv[2])
    print("working", flush=True)
    time.sleep(float(sys.argv[3]))

Store(Path(sys.argv[1]), Reporter()).ensure(Step("train", {"seed": 0}), make)
"""


def holder(store, name, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.root), name, str(seconds)],
        env=subprocess_environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "working\n"
    return process


def test_a_second_process_says_that_it_waits_and_takes_what_the_first_made(store, capsys):
    process = holder(store, "first", 1.0)
    waiting = Store(store.root, Reporter())
    artifact = waiting.ensure(TRAIN, lambda folder: pytest.fail("made twice"))
    assert f"another process works on {TRAIN.id}; waiting for it" in capsys.readouterr().err
    assert (artifact.folder / "by").read_text() == "first"
    assert process.wait(timeout=30) == 0


def test_a_lock_dies_with_its_process_and_its_work_is_left_alone_until_then(store, capsys):
    process = holder(store, "first", 600)
    partial = store.root / "partial" / TRAIN.id.replace("/", "-")
    assert store.garbage() == Garbage((), ())
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    assert store.garbage() == Garbage((), (partial,))
    artifact = Store(store.root, Reporter()).ensure(TRAIN, writes(by="second"))
    assert (artifact.folder / "by").read_text() == "second"
    assert "waiting" not in capsys.readouterr().err


def test_garbage_leaves_what_a_run_at_work_needs(store):
    store.ensure(TRAIN, writes(w_txt="weights"))
    with store.needing([TRAIN.id, PREDICT.id]):
        beside = Store(store.root, Reporter(quiet=True))
        assert beside.garbage().folders == ()
    assert store.garbage().folders == (store.folder(TRAIN.id),)


NEEDING = """
import sys, time
from pathlib import Path
from cxrbench.reporter import Reporter
from cxrbench.store import Store

with Store(Path(sys.argv[1]), Reporter(quiet=True)).needing(["train/a"]):
    print("needing", flush=True)
    time.sleep(600)
"""


def test_gc_clears_away_what_killed_runs_said_that_they_need(store):
    command = [sys.executable, "-c", NEEDING, str(store.root)]
    process = subprocess.Popen(command, env=subprocess_environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "needing\n"
    store.collect(())
    assert store.needed_now() == ["train/a"]
    process.kill()
    process.communicate(timeout=30)
    assert len(list(store.root.glob("locks/live-*"))) == 2
    assert store.needed_now() == []
    store.collect(())
    assert list(store.root.glob("locks/live-*")) == []


def test_a_run_that_ended_leaves_nothing_of_itself(store):
    with store.needing([TRAIN.id]):
        assert store.needed_now() == [TRAIN.id]
    assert list(store.root.glob("locks/live-*")) == []


# verify


@pytest.fixture
def filled(store):
    """Two runs that share a training; an artifact that nobody needs."""
    labels = Step("labels", {"role": "train"})
    train = Step("train", {"seed": 0}, (labels,))
    other = Step("train", {"seed": 1})
    first, second = run_step("a", train, n=1), run_step("b", train, n=2)
    for step in (labels, train, other):
        store.ensure(step, writes(data_txt=step.id))
    for step in (first, second):
        store.ensure(step, writes(run_json="{}"))
    return store, {"labels": labels, "train": train, "other": other, "first": first, "second": second}


def test_verify_names_what_is_missing_changed_added_and_gone(filled):
    store, steps = filled
    assert [problem for id_ in store.ids() for problem in store.problems(id_)] == []
    train, first = steps["train"], steps["first"]
    (store.folder(train.id) / "data.txt").write_text("other")
    (store.folder(train.id) / "sub").mkdir()
    (store.folder(train.id) / "sub" / "artifact.json").write_text("added")
    (store.folder(first.id) / "run.json").unlink()
    (store.folder(steps["labels"].id) / "artifact.json").unlink()
    answer = invoke("verify", "--results", store.root, "--json")
    assert answer.exit_code == 1
    assert sorted(answer.json["problems"]) == sorted(
        [
            f"{train.id}: data.txt has changed since it was written",
            f"{train.id}: sub/artifact.json was added later",
            f"{train.id}: refers to {steps['labels'].id}, which is gone",
            f"{first.id}: run.json is missing",
        ]
    )


def test_verify_reports_a_damaged_record_beside_the_rest(filled):
    store, steps = filled
    (store.folder(steps["train"].id) / "artifact.json").write_bytes(b"\xff\xfe{")
    (store.folder(steps["other"].id) / "data.txt").unlink()
    answer = invoke("verify", "--results", store.root, "--json")
    assert answer.exit_code == 1
    problems = "\n".join(answer.json["problems"])
    assert f"{steps['train'].id}: " in problems
    assert "is damaged" in problems
    assert f"{steps['other'].id}: data.txt is missing" in problems


def test_verify_of_a_run_looks_at_what_is_behind_it_only(filled):
    store, steps = filled
    (store.folder(steps["other"].id) / "data.txt").unlink()
    (store.folder(steps["second"].id) / "run.json").unlink()
    answer = invoke("verify", steps["first"].name, "--results", store.root, "--json")
    assert answer.exit_code == 0
    assert answer.json == {"checked": 3, "problems": []}
    assert "no problems" in invoke("verify", steps["first"].name, "--results", store.root).stdout


# rm and gc


def gc(store, *arguments):
    return invoke("store", "gc", "--results", store.root, "--json", *arguments).json


def test_gc_frees_what_no_run_needs_and_nothing_else(filled):
    store, steps = filled
    before = tree(store.root / "runs")
    for dry in (True, False):
        answer = gc(store, *(["--dry-run"] if dry else []))
        assert answer["freed"] == [f"artifacts/{steps['other'].id}"]
        assert answer["bytes"] > 0
        assert answer["dry_run"] is dry
        assert store.has(steps["other"]) is dry
    assert all(store.has(steps[name]) for name in ("labels", "train", "first", "second"))
    assert tree(store.root / "runs") == before
    nothing = {"freed": [], "bytes": 0, "unfinished_bytes": 0, "images_bytes": 0, "dry_run": False}
    assert gc(store) == nothing


def test_gc_keeps_what_a_killed_training_would_go_on_from_unless_asked(filled):
    store, _ = filled
    partial = store.root / "partial" / "train-abc"
    partial.mkdir(parents=True)
    (partial / "state").write_text("half way")
    kept = gc(store)
    assert (kept["unfinished_bytes"], partial.exists()) == (8, True)
    freed = gc(store, "--unfinished")
    assert freed["freed"] == ["partial/train-abc"]
    assert not partial.exists()


def test_a_changed_record_is_found(filled):
    store, steps = filled
    path = store.folder(steps["train"].id) / "artifact.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
    answer = invoke("verify", "--results", store.root, "--json")
    assert answer.exit_code == 1
    assert answer.json["problems"] == [f"{steps['train'].id}: its record has changed since it was written"]


def test_published_files_may_be_read_by_those_who_may_read_the_store(store):
    def make(folder):
        (folder / "w").write_text("weights")
        (folder / "w").chmod(0o600)

    folder = store.ensure(TRAIN, make).folder
    assert (folder / "w").stat().st_mode == (folder / "artifact.json").stat().st_mode


def test_a_damaged_run_does_not_hide_the_others(filled):
    store, steps = filled
    (store.folder(steps["first"].id) / "artifact.json").write_text("{")
    assert [run.id for run in store.runs()] == [steps["second"].id]


def test_what_two_runs_share_goes_with_the_second(filled):
    store, steps = filled
    gc(store)
    for name, frees in (("first", []), ("second", ["labels", "train"])):
        removed = invoke("store", "rm", steps[name].name, "--results", store.root, "--json")
        assert removed.json == {"removed": [steps[name].name]}
        assert not store.folder(steps[name].id).exists()
        assert gc(store)["freed"] == [f"artifacts/{steps[name].id}" for name in frees]
    assert store.ids() == []


def test_gc_does_not_guess_what_a_damaged_run_needs(filled):
    store, steps = filled
    (store.folder(steps["first"].id) / "artifact.json").write_text("{")
    answer = invoke("store", "gc", "--results", store.root)
    assert answer.exit_code == 1
    assert "damaged" in answer.stderr
    assert store.has(steps["other"])


# Finding runs


def test_a_run_is_found_by_its_id_its_beginning_or_its_end(filled):
    store, steps = filled
    first = steps["first"]
    for text in (first.name, "a-", first.name[-8:], f"results/runs/{first.name}/"):
        assert store.find_run(text).id == first.id


def test_a_text_that_means_no_run_or_several_is_refused(store):
    for n in (1, 2):
        store.ensure(run_step("same", n=n), writes(run_json="{}"))
    with pytest.raises(CxrbenchError, match=r"is not one run but same-\w+, same-"):
        store.find_run("same")
    with pytest.raises(CxrbenchError, match=r"is no run of .*; there are same-"):
        store.find_run("other")


@pytest.mark.parametrize("text", ["..", "../..", "../../x", "/", ".", "", "runs/..", "x/../../y", "*"])
def test_no_text_leads_out_of_the_store(store, tmp_path, text):
    for folder in (tmp_path / "x", tmp_path / "y", tmp_path):
        folder.mkdir(exist_ok=True)
        (folder / "artifact.json").write_text("{}")
    store.ensure(run_step("only", n=1), writes(run_json="{}"))
    before = tree(tmp_path)
    for command in (("store", "rm"), ("show",), ("verify",)):
        answer = invoke(*command, text, "--results", store.root)
        assert answer.exit_code == 2
        assert len(answer.stderr.splitlines()) == 1
    assert tree(tmp_path) == before
