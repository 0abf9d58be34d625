import math
import statistics

import pytest

from cxrbench.grid import described
from cxrbench.plugins import installed
from cxrbench.report.names import apart, data_of, system
from cxrbench.report.systems import systems_of
from cxrbench.report.tables import summary
from cxrbench.specs import resolve

AUC = {0: 0.7, 1: 0.8, 2: 0.75}


def record(seed=0, passport="p1", **settings):
    registry = installed().registry
    spec = resolve({"dataset": "phantom", "seed": seed, **settings}, registry)
    figures = ("macro_ap", "macro_f1", "exact_match", "hamming_loss", "lrap", "macro_brier", "macro_ece")
    metrics = {"macro_auc": AUC[seed], **dict.fromkeys(figures, 0.5), "auc_findings": 0}
    return {
        **described(spec, registry),
        "run_id": f"run-{seed}-{spec.thresholds.name}",
        "metrics": {**metrics, "macro_f1": None if seed else 0.25},
        "per_finding": [],
        "null": [{"name": "prevalence", "metrics": metrics}],
        "passport": {
            "id": passport,
            "dataset": "phantom",
            "label_version": "1",
            "shared_patients": {},
            "images": {"test": 10},
            "patients": {"test": 4},
        },
    }


def test_seeds_of_a_spec_are_one_system_with_mean_and_spread():
    records = [record(seed) for seed in AUC]
    (one,) = systems_of(records)
    assert one["seeds"] == [0, 1, 2]
    assert "seed" not in one["spec"]
    auc = one["metrics"]["macro_auc"]
    assert auc["mean"] == pytest.approx(statistics.mean(AUC.values()))
    assert auc["sd"] == pytest.approx(statistics.stdev(AUC.values()))
    assert auc["n"] == 3
    f1 = one["metrics"]["macro_f1"]
    assert (f1["mean"], f1["n"]) == (0.25, 1)
    assert math.isnan(f1["sd"])


def test_a_run_that_several_cells_name_counts_once():
    (one,) = systems_of([record(0), record(0), record(1)])
    assert one["seeds"] == [0, 1]


def test_other_settings_and_other_test_sets_are_other_systems():
    records = [record(0), record(1), record(0, thresholds="youden"), record(0, passport="p2")]
    assert [one["seeds"] for one in systems_of(records)] == [[0, 1], [0], [0]]


def test_a_metric_that_no_seed_has_is_undefined():
    (one,) = systems_of([record(1), record(2)])
    f1 = one["metrics"]["macro_f1"]
    assert f1["n"] == 0
    assert math.isnan(f1["mean"])
    assert math.isnan(f1["sd"])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"augmentation": "none"}, ["augmentation=affine", "augmentation=none"]),
        ({"image_size": 96}, ["image_size=64", "image_size=96"]),
        ({"training": {"ema": 0.9}}, ["ema=0.0", "ema=0.9"]),
        ({"split": "patient"}, ["split=official", "split=patient"]),
        ({"tune": "val"}, ["fitted on tune", "fitted on val"]),
        ({"calibrator": "temperature"}, ["uncalibrated", "temperature"]),
        ({"thresholds": "dynamic:min_precision=0.4"}, ["dynamic", "dynamic:min_precision=0.4"]),
        ({"sampler": "limit:no_finding=0.5"}, ["sampler=none", "sampler=limit:no_finding=0.5"]),
        ({"test_dataset": "phantom:seed=3"}, ["test_dataset=none", "test_dataset=phantom:seed=3"]),
        (
            {"training": {"cycles": [{"epochs": 1}, {"learning_rate": 0.01, "loss": {}}]}},
            ["cycles=none", "cycles=epochs=1 then learning_rate=0.01"],
        ),
        ({"dataset": "phantom:seed=3"}, ["dataset=phantom", "dataset=phantom:seed=3"]),
    ],
)
def test_whatever_setting_differs_is_named_and_what_is_common_said_once(settings, told):
    common, names = apart([record(), record(**settings)])
    assert names == told
    assert "seed 0" in common
    assert system(record()) == "densenet_fpn, weighted_bce, uncalibrated, dynamic, seed 0"


def test_split_and_sampler_are_told_where_they_are_not_the_usual_ones():
    assert system(record(split="patient")).startswith("split=patient, densenet_fpn, ")
    both = [record(split="image"), record(1, split="image")]
    assert apart(both)[0].startswith("split=image, densenet_fpn")


def with_data(record, *, files=None, trained="l1", roles="r1"):
    return {
        **record,
        "spec": {**record["spec"], **(files or {})},
        "trained_on": {"dataset": "x", "drawn": False, "label_version": "1", "labels": trained},
        "passport": {**record["passport"], "roles": roles},
    }


def test_files_count_by_what_they_hold_and_not_by_their_path():
    here, there = {"labels": "./a.csv", "exclude": "b.txt"}, {"labels": "a.csv", "exclude": "./b.txt"}
    same = [with_data(record(0), files=here), with_data(record(1), files=there)]
    assert [one["seeds"] for one in systems_of(same)] == [[0, 1]]
    for other in ({"trained": "l2"}, {"roles": "r2"}):
        changed = [same[0], with_data(record(1), files=here, **other)]
        assert [one["seeds"] for one in systems_of(changed)] == [[0], [1]]


def test_data_is_named_by_its_collection_and_drawn_where_the_record_says_so():
    given = record(test_dataset="phantom:seed=3")
    external = {**with_data(given), "test_dataset": "phantom"}
    external["passport"] = {**given["passport"], "dataset": "films", "drawn": False}
    external["trained_on"] = {**external["trained_on"], "dataset": "sketches", "drawn": True}
    assert data_of(external) == "films, trained on sketches (drawn images, not patients)"


def test_old_records_name_the_component_and_phantoms_are_drawn():
    given = record(dataset="phantom", test_dataset="phantom")
    old = {**given, "test_dataset": "phantom"}
    old["passport"] = {**given["passport"], "dataset": "films"}
    assert data_of(old) == "films, trained on phantom (drawn images, not patients)"


def test_a_record_from_before_a_setting_was_there_has_its_default():
    old = record()
    old = {**old, "spec": {k: v for k, v in old["spec"].items() if k not in ("sampler", "split")}}
    del old["sampler"]
    assert apart([old, record()])[1] == [system(old), system(old)]


def shown(records):
    from rich.console import Console

    console = Console(width=160, record=True)
    for part in summary(records):
        console.print(part)
    return console.export_text()


def test_the_summary_is_a_row_a_system_where_any_has_several_seeds():
    text = shown([record(0), record(1), record(0, thresholds="youden")])
    assert "0.750" in text
    assert "± 0.071" in text
    assert "± –" in text
    assert "0, 1" in text


def test_the_summary_is_a_row_a_run_otherwise():
    text = shown([record(0), record(0, thresholds="youden")])
    assert "±" not in text
    assert "0-youden" in text
