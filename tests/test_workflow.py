"""One researcher's afternoon on one store: a fixture is a command line, a test looks at what it left."""

import json
import math

import numpy as np
import pytest
import torch
from conftest import LIGHT, PHANTOM, PIXELS, invoke, run, tree
from safetensors import safe_open

from cxrbench.datasets.phantom import Phantom
from cxrbench.findings import NIH_FINDINGS
from cxrbench.grid import cells
from cxrbench.pixels.cache import ImageCache
from cxrbench.plugins import installed
from cxrbench.predictions import Predictions
from cxrbench.reporter import Reporter
from cxrbench.roles import assign_roles
from cxrbench.store import Store
from cxrbench.workflow import CALIBRATORS_SHOWN, Workflow

THRESHOLD_STAGES = {"threshold", "evaluate"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("work") / "results"


@pytest.fixture(scope="module")
def first(results):
    return run(results)


@pytest.fixture(scope="module")
def record(first):
    (only,) = first.json["runs"]
    return only


def stages_added(before, after):
    """Stages of the artifacts that are new, and a check that nothing old was touched."""
    old = {name: facts for name, facts in before.items() if name != "label_reads.jsonl"}
    assert {name: after.get(name) for name in old} == old
    new = {name.split("/")[1] for name in after.keys() - before.keys() if name.startswith("artifacts/")}
    return new


# The first run


def test_a_run_answers_with_the_stable_names(first, record):
    assert first.exit_code == 0
    assert set(first.json) == {"trainings", "runs", "systems", "failed"}
    assert first.json["trainings"] == 1
    assert first.json["failed"] == []
    names = {"run_id", "dataset", "backbone", "loss", "calibrator", "thresholds", "seed", "path", "metrics"}
    assert names | {"per_finding", "passport"} <= set(record)
    assert {"macro_auc", "macro_f1", "exact_match", "hamming_loss"} <= set(record["metrics"])
    for row, finding in zip(record["per_finding"], NIH_FINDINGS, strict=True):
        assert row["finding"] == finding
        assert {"auc", "ap", "f1", "threshold", "feasible", "n_pos", "n_neg"} <= set(row)
        assert row["n_pos"] + row["n_neg"] + row["n_unknown"] == 80
    assert record["backbone"] == "densenet_fpn"
    assert record["options"]["backbone"] == {"use": "patient"}


def test_stdout_is_the_document_and_stderr_the_rest(first):
    assert first.stdout.startswith("{")
    assert "training densenet_fpn on" in first.stderr
    assert "epoch  2/2" in first.stderr


def test_the_answer_is_what_lies_in_the_store(results, record):
    shown = invoke("show", record["run_id"], "--results", results, "--json")
    assert shown.json == record
    assert [r["run_id"] for r in invoke("show", "--results", results, "--json").json] == [record["run_id"]]
    folder = results / "runs" / record["run_id"]
    assert str(folder) == record["path"]
    stored = json.loads((folder / "run.json").read_text())
    assert stored == {key: value for key, value in record.items() if key != "path"}
    for name in ("config.toml", "epochs.csv", "per_finding.csv", "thresholds.json", "roc.csv"):
        assert (folder / name).is_file(), name
    assert (results / record["weights"]).is_file()
    assert (results / record["optimizer"]).is_file()


def test_what_is_stored_verifies(results, first):
    assert invoke("verify", "--results", results, "--json").json["problems"] == []


def test_the_table_says_plainly_that_the_images_are_drawn(results, record):
    for arguments in ((), (record["run_id"],)):
        shown = invoke("show", *arguments, "--results", results).stdout
        assert "phantom (drawn images, not patients)" in shown
        assert "always the prevalence" in shown
        assert "always negative" in shown
        assert record["passport"]["id"] in shown


def test_no_image_is_prepared_for_a_network_that_sees_none(results, first):
    assert not (results / "cache").exists()
    assert "preparing images" not in first.stderr


def test_labels_lie_apart_and_every_read_of_test_was_for_evaluation(results, first):
    reads = [json.loads(line) for line in (results / "label_reads.jsonl").read_text().splitlines()]
    assert {read["role"] for read in reads} == {"train", "val", "tune", "test"}
    for read in reads:
        stage = read["reader"].split("/")[0]
        assert (read["role"], read["purpose"], stage) in {
            ("train", "fit", "train"),
            ("val", "fit", "train"),
            ("tune", "fit", "calibrate"),
            ("tune", "fit", "threshold"),
            ("tune", "evaluate", "evaluate"),
            ("test", "evaluate", "evaluate"),
            ("test", "evaluate", "run"),
        }


def test_predictions_hold_finite_logits_of_one_role_each(results, first, record):
    found = {}
    for path in (results / "artifacts" / "predict").glob("*/predictions.parquet"):
        predictions = Predictions.read(path)
        assert np.isfinite(predictions.table.to_numpy()).all()
        found[len(predictions.table)] = set(predictions.table.index)
    images = record["passport"]["images"]
    assert set(found) == {images["tune"], images["test"]}
    assert not found[images["tune"]] & found[images["test"]]


def test_no_file_of_the_store_can_run_code(results, first):
    suffixes = {path.suffix for path in results.rglob("*") if path.is_file()}
    known = {".json", ".jsonl", ".csv", ".toml", ".png", ".parquet", ".npy", ".safetensors", ".lock"}
    assert suffixes <= known
    for path in results.rglob("*.safetensors"):
        with safe_open(path, "np") as file:
            assert list(file.keys())


def test_few_positives_are_said_and_shown(results, record):
    by_count = {row["finding"]: row for row in record["per_finding"]}
    few = [row for row in by_count.values() if "matches the prevalence" in row["reason"]]
    assert few
    assert not any(row["feasible"] for row in few)
    assert "* not feasible" in invoke("show", record["run_id"], "--results", results).stdout


# The same again


@pytest.fixture(scope="module")
def again(results, first):
    before = tree(results)
    return run(results), before, tree(results)


def test_the_same_command_again_does_nothing_and_says_so(again, first):
    answer, before, after = again
    assert answer.json == {**first.json, "trainings": 0}
    assert "already done, nothing to do" in answer.stderr
    assert "epoch" not in answer.stderr
    assert before == after


def test_quiet_says_nothing_but_the_answer(results, first, again):
    answer = run(results, "-q")
    assert answer.stderr == ""
    assert answer.json["runs"] == first.json["runs"]


def test_its_own_config_repeats_the_run(results, record, again):
    config = results / "runs" / record["run_id"] / "config.toml"
    answer = invoke("run", "--config", config, "--results", results, "--json")
    assert answer.json["trainings"] == 0
    assert [r["run_id"] for r in answer.json["runs"]] == [record["run_id"]]
    assert answer.json["failed"] == []


# A dry run comes true


@pytest.fixture(scope="module")
def planned(results, again):
    line = ("--thresholds", "youden,dynamic:min_precision=0.4", "--thresholds", "fixed", "--seed", "0,1")
    before = tree(results)
    plan = run(results, *line, "--dry-run")
    assert tree(results) == before
    answer = run(results, *line)
    return plan, answer, before, tree(results)


def test_a_dry_run_says_what_then_happens(planned):
    plan, answer, before, after = planned
    assert plan.json["trainings"] == answer.json["trainings"] == 1
    assert len(plan.json["runs"]) == len(answer.json["runs"]) == 6
    assert plan.json["disk_bytes"] > 0
    for planned_run, done in zip(plan.json["runs"], answer.json["runs"], strict=True):
        assert planned_run["seed"] == done["seed"]
        assert planned_run["thresholds"] == done["thresholds"]
        assert planned_run["trains"] == (done["seed"] == 1)
        assert planned_run["steps"][-1]["id"] == f"run/{done['run_id']}"
        for step in planned_run["steps"][:-1]:
            existed = f"artifacts/{step['id']}/artifact.json" in before
            assert step["done"] == existed
            assert f"artifacts/{step['id']}/artifact.json" in after


def test_commas_and_repeated_options_are_one_run_each(planned):
    cells = [(r["thresholds"], r["options"]["thresholds"], r["seed"]) for r in planned[1].json["runs"]]
    strategies = [("youden", {}), ("dynamic", {"min_precision": 0.4}), ("fixed", {})]
    assert cells == [(name, options, seed) for name, options in strategies for seed in (0, 1)]


def test_a_seed_trains_another_network_on_the_same_roles(planned, record):
    runs = {r["seed"]: r for r in planned[1].json["runs"] if r["thresholds"] == "youden"}
    assert runs[0]["metrics"]["macro_auc"] == record["metrics"]["macro_auc"]
    assert runs[1]["metrics"]["macro_auc"] != record["metrics"]["macro_auc"]
    assert runs[0]["passport"] == runs[1]["passport"] == record["passport"]


def test_several_runs_are_one_table(results, planned):
    shown = invoke("show", "--results", results).stdout
    assert shown.count("always the prevalence") == 1
    # Nothing that tells two runs apart is cut short.
    assert "dynamic:min_precision=0." in shown
    assert "…" not in shown


# One thing changed


@pytest.fixture(scope="module")
def restrategised(results, planned):
    before = tree(results)
    return run(results, "--thresholds", "precision_f1"), before, tree(results)


def test_another_strategy_trains_predicts_and_calibrates_nothing(restrategised, record):
    answer, before, after = restrategised
    assert answer.json["trainings"] == 0
    assert stages_added(before, after) == THRESHOLD_STAGES
    assert answer.json["runs"][0]["metrics"]["macro_auc"] == record["metrics"]["macro_auc"]


@pytest.fixture(scope="module")
def calibrated(results, restrategised):
    before = tree(results)
    return run(results, "--calibrator", "temperature"), before, tree(results)


def test_another_calibrator_fits_thresholds_anew_and_no_more(calibrated, record):
    answer, before, after = calibrated
    (made,) = answer.json["runs"]
    assert answer.json["trainings"] == 0
    # What temperature would do was shown, and so fitted, from the first run on.
    assert stages_added(before, after) == THRESHOLD_STAGES
    assert (
        made["calibration"].keys()
        == record["calibration"].keys()
        == set(CALIBRATORS_SHOWN) - {"softmax_temperature", "vector"}
    )
    for name, figures in made["calibration"].items():
        assert figures == pytest.approx(record["calibration"][name])
    assert made["metrics"]["macro_ece"] == pytest.approx(made["calibration"]["temperature"]["macro_ece"])
    assert record["metrics"]["macro_ece"] == pytest.approx(record["calibration"]["none"]["macro_ece"])


@pytest.fixture(scope="module")
def tuned_on_val(results, calibrated):
    return run(results, "--tune", "val")


def test_tuning_on_val_is_shown_in_every_table(results, tuned_on_val, record):
    (made,) = tuned_on_val.json["runs"]
    assert tuned_on_val.json["trainings"] == 0
    assert made["tune"] == made["passport"]["tune"] == "val"
    assert made["passport"]["id"] == record["passport"]["id"]
    details = invoke("show", made["run_id"], "--results", results).stdout
    assert "fitted on val" in details.splitlines()[0]
    assert "thresholds fitted on val" in details


def test_all_of_it_verifies_and_nothing_of_it_is_garbage(results, tuned_on_val):
    assert invoke("verify", "--results", results, "--json").json["problems"] == []
    assert invoke("store", "gc", "--dry-run", "--results", results, "--json").json["freed"] == []


# Settings


def spec_of(tmp_path, *arguments):
    (planned,) = run(tmp_path / "none", "--dry-run", *arguments).json["runs"]
    assert not (tmp_path / "none").exists()
    return planned["spec"]


def test_set_addresses_components_the_training_and_the_run(tmp_path):
    spec = spec_of(
        tmp_path,
        *("--set", "densenet_fpn.hidden=16", "--set", "dynamic.min_precision=0.35"),
        *("--set", "training.schedule=plateau", "--set", "min_positives=3", "--set", "phantom.seed=4"),
    )
    assert spec["backbone"]["options"]["hidden"] == 16
    assert spec["backbone"]["options"]["use"] == "patient"
    assert spec["thresholds"]["options"]["min_precision"] == 0.35
    assert spec["training"]["schedule"] == "plateau"
    assert spec["min_positives"] == 3
    assert spec["dataset"]["options"]["seed"] == 4


def test_the_command_line_comes_before_the_file_and_the_file_before_the_recommendation(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('loss = "bce"\nimage_size = 48\n[training]\nepochs = 7\nbatch_size = 8\n')
    spec = spec_of(tmp_path, "--config", file, "--image-size", "96")
    assert (spec["loss"]["name"], spec["image_size"]) == ("bce", 96)
    assert (spec["training"]["epochs"], spec["training"]["batch_size"]) == (2, 8)
    assert spec_of(tmp_path)["image_size"] == 64


WRONG = [
    ["--thresholds", "dynamik"],
    ["--thresholds", "dynamic:min_precison=0.4"],
    ["--thresholds", "dynamic:min_precision=7"],
    ["--seed", "x"],
    ["--seed", "-1"],
    ["--set", "nonsense"],
    ["--set", "youden.step=1"],
    ["--set", "training.nonsense=1"],
    ["--image-size", "8"],
    ["--epochs", "0"],
    ["--weights", "missing.safetensors"],
    ["--config", "missing.toml"],
    ["--precision", "fp16", "--device", "cpu"],
    ["--loss", "weighted_bce:overrides=3"],
    ["--nonsense"],
    ["--tune", "test"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_wrong_use_is_exit_code_2_before_anything_is_written(tmp_path, arguments, dry):
    answer = run(tmp_path / "results", *arguments, *dry)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "text",
    ["training = 3", "dataset = 3", 'backbone = "bad name"', "[backbone]\nfoo = 1", 'seed = "x"', "= 3"],
)
def test_a_config_that_makes_no_sense_is_refused_in_one_sentence(tmp_path, text):
    file = tmp_path / "my.toml"
    file.write_text(text)
    answer = invoke("run", "--config", file, "--results", tmp_path / "results")
    assert answer.exit_code == 2
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "results").exists()


def test_debug_shows_the_trace_and_keeps_the_exit_code(tmp_path):
    answer = run(tmp_path / "results", "--thresholds", "dynamik", "--debug")
    assert answer.exit_code == 2
    assert "Traceback" in answer.stderr
    assert "There is no threshold strategy 'dynamik'" in answer.stderr


# What fails, fails alone


BROKEN = """
from cxrbench.hookspecs import hookimpl

class Broken:
    tasks = frozenset({"multilabel"})

    def fit(self, probabilities, labels, *, calibrated):
        raise ZeroDivisionError("the plugin's own fault")

@hookimpl
def register_thresholds(register):
    register("broken", "THIS:Broken", version="1", summary="Raises")
"""


@pytest.fixture
def mixed(tmp_path, plugin):
    plugin(BROKEN)
    return run(tmp_path / "results", "--thresholds", "broken,youden", "--debug"), tmp_path / "results"


def test_a_cell_that_fails_is_named_and_the_others_are_run(mixed):
    answer, results = mixed
    assert answer.exit_code == 1
    assert [r["thresholds"] for r in answer.json["runs"]] == ["youden"]
    (failed,) = answer.json["failed"]
    assert (failed["thresholds"], failed["seed"]) == ("broken", 0)
    assert failed["reason"] == "the plugin's own fault"
    assert "ZeroDivisionError" in failed["trace"]
    assert answer.json["trainings"] == 1
    assert "Traceback" in answer.stderr
    assert invoke("verify", "--results", results, "--json").exit_code == 0


def test_weights_that_do_not_fit_fail_before_any_image_is_drawn(tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"other": torch.zeros(3)}, tmp_path / "w.safetensors")
    answer = run(tmp_path / "results", *PIXELS, "--weights", tmp_path / "w.safetensors", backbone=None)
    assert answer.exit_code == 1
    assert answer.json["runs"] == []
    assert "w.safetensors" in answer.json["failed"][0]["reason"]
    assert not (tmp_path / "results" / "cache").exists()


def test_a_rate_that_blows_up_names_epoch_step_and_images(tmp_path):
    answer = run(tmp_path / "results", "--lr", "1e30", "--set", "training.clip_norm=0")
    assert answer.exit_code == 1
    reason = answer.json["failed"][0]["reason"]
    assert "The loss became" in reason
    assert "epoch 1, step" in reason
    assert "images: phantom-" in reason
    assert answer.json["failed"][0]["reason"] in answer.stderr
    assert not list((tmp_path / "results").glob("artifacts/train/*"))


def test_a_training_that_failed_is_not_tried_again_for_the_next_cell(tmp_path):
    rates = ("--lr", "1e30", "--set", "training.clip_norm=0")
    answer = run(tmp_path / "results", *rates, "--thresholds", "youden,dynamic,fixed")
    first, *others = (cell["reason"] for cell in answer.json["failed"])
    assert "The loss became" in first
    assert all("failed before in this call" in reason for reason in others)
    assert [cell["thresholds"] for cell in answer.json["failed"]] == ["youden", "dynamic", "fixed"]
    # Each training says once what it trains on.
    assert answer.stderr.count("training densenet_fpn on") == 1


FAULTY = """
from cxrbench.hookspecs import hookimpl

class Faulty:
    tasks = frozenset({"multilabel"})

    def build(self, labels, classes):
        if len(labels) > 1:
            raise RuntimeError("no such kernel")
        return lambda logits, labels: logits.sum()

@hookimpl
def register_losses(register):
    register("faulty", "THIS:Faulty", version="1", summary="Fails where it is trained with")
"""


def test_a_training_that_a_plugin_breaks_is_not_tried_again_either(tmp_path, plugin):
    plugin(FAULTY)
    answer = run(tmp_path / "results", "--loss", "faulty,bce", "--thresholds", "youden,fixed")
    first, second = answer.json["failed"]
    assert first["reason"] == "no such kernel"
    assert "failed before in this call" in second["reason"]
    assert [r["loss"] for r in answer.json["runs"]] == ["bce", "bce"]


# Plans


def test_a_plan_leaves_a_batch_size_to_the_gpu_that_would_have_to_find_it(tmp_path):
    registry, reporter = installed().registry, Reporter(quiet=True)
    training = {"batch_size": "auto", "precision": "fp32"}
    (spec,) = cells({"dataset": PHANTOM, "backbone": LIGHT, "training": training}, {}, [], registry)
    workflow = Workflow(Store(tmp_path / "r", reporter), registry, reporter, torch.device("cuda"), None)
    plan = workflow.job(spec, planned=True).plan()
    assert plan.spec.training.batch_size == "auto"
    assert (plan.steps, plan.unread, plan.trains) == ((), 0, True)


COUNTED = """
import torch
from cxrbench.hookspecs import hookimpl

class Counted:
    inputs, mean, std = ("patient",), (0.5,), (0.25,)

    def build(self, outputs, image_size, pretrained):
        with open(LOG, "a") as file:
            file.write("built ")
        return torch.nn.Linear(3, outputs)

@hookimpl
def register_backbones(register):
    register("counted", "THIS:Counted", version="1", summary="Notes each network that is built")
"""


def test_a_plan_builds_the_network_of_many_cells_once(tmp_path, plugin):
    log = tmp_path / "built"
    plugin(COUNTED.replace("LOG", repr(str(log))))
    axes = ("--seed", "0,1", "--thresholds", "youden,fixed", "--dry-run")
    plan = run(tmp_path / "results", *axes, backbone="counted").json
    assert (len(plan["runs"]), plan["trainings"]) == (4, 2)
    assert log.read_text() == "built "


# Undefined is never 0


class Gaps(Phantom):
    """A phantom whose tune role knows no Hernia, and nothing of Edema."""

    def read(self, root):
        made = super().read(root)
        tune = assign_roles(made.manifest) == "tune"
        made.labels.loc[tune[tune].index, "Hernia"] = 0
        made.labels.loc[tune[tune].index, "Edema"] = np.nan
        return made


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    results = tmp_path_factory.mktemp("tiny") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cxrbench.datasets.phantom.Phantom", Gaps)
        return run(results, dataset="phantom:train_val=100,test=12"), results


def test_a_finding_without_positives_is_null_in_json_and_a_dash_in_the_table(tiny):
    answer, results = tiny
    (made,) = answer.json["runs"]
    undefined = [row for row in made["per_finding"] if row["n_pos"] == 0]
    assert undefined
    for row in undefined:
        assert row["auc"] is row["ap"] is None
    defined = [row["auc"] for row in made["per_finding"] if row["n_pos"] and row["n_neg"]]
    assert made["metrics"]["macro_auc"] == pytest.approx(np.mean(defined))
    assert made["metrics"]["auc_findings"] == len(defined) < 14
    shown = invoke("show", made["run_id"], "--results", results).stdout
    assert f"AUC and AP of {len(defined)} of 14" in shown
    for row in undefined:
        (line,) = [x for x in shown.splitlines() if x.startswith(row["finding"].replace("_", " ") + " ")]
        assert line.split()[len(row["finding"].split("_"))] == "–"


def test_a_finding_that_tune_does_not_hold_has_no_threshold_and_is_left_undecided(tiny):
    answer, _ = tiny
    (made,) = answer.json["runs"]
    undecided = [row for row in made["per_finding"] if row["threshold"] is None]
    assert [row["finding"] for row in undecided] == ["Edema", "Hernia"]
    for row in undecided:
        assert "no threshold" in row["reason"]
        assert row["f1"] is None
        assert row["tp"] + row["fp"] + row["tn"] + row["fn"] == 0
    assert made["metrics"]["decided_findings"] == 14 - len(undecided)
    assert not any(isinstance(v, float) and math.isnan(v) for v in made["metrics"].values())


# Images


@pytest.fixture(scope="module")
def pictured(tmp_path_factory):
    results = tmp_path_factory.mktemp("pictured") / "results"
    return run(results, *PIXELS, backbone=None), results


def test_images_are_prepared_once_and_shared(pictured):
    answer, results = pictured
    assert answer.exit_code == 0
    (cache,) = ImageCache.all(Store(results, Reporter(quiet=True)))
    pixels = cache.open()
    assert pixels.shape == (320, 36, 36)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 10
    plan = run(results, *PIXELS, "--seed", "5", "--dry-run", backbone=None).json
    assert plan["trainings"] == 1
    smaller = run(results, *PIXELS, "--dry-run", "--image-size", "48", backbone=None).json
    assert smaller["disk_bytes"] - plan["disk_bytes"] == 320 * 54 * 54


def test_gc_frees_prepared_images_only_where_asked_and_while_no_run_reads_them(pictured):
    _, results = pictured
    store = Store(results, Reporter(quiet=True))
    (cache,) = ImageCache.all(store)
    gc = ("store", "gc", "--results", results, "--json")
    kept = invoke(*gc).json
    assert kept["freed"] == []
    assert kept["images_bytes"] > 320 * 36 * 36
    with store.needing([cache.id]):
        assert invoke(*gc, "--images").json["freed"] == []
    assert invoke(*gc, "--images", "--dry-run").json["freed"] == [cache.id]
    assert cache.folder.exists()
    freed = invoke(*gc, "--images").json
    assert (freed["freed"], freed["bytes"], freed["images_bytes"]) == ([cache.id], kept["images_bytes"], 0)
    assert not cache.folder.exists()
    assert invoke("verify", "--results", results).exit_code == 0
    again = run(results, *PIXELS, backbone=None).json
    assert again["trainings"] == 0
    assert not cache.folder.exists()
