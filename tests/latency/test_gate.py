"""The gate: an engine's logits against those of eager fp32, counted by hand and by scikit-learn."""

import dataclasses
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxrbench.calibrators.none import NoCalibrator
from cxrbench.decisions.none import NoRule
from cxrbench.errors import UsageError
from cxrbench.latency.gate import Tolerance, compare
from cxrbench.task import Task
from cxrbench.workflow.deployed import Deployed

CLASSES = ("Mass", "Hernia", "Edema")
TASK = Task("multilabel", CLASSES)


def behind(thresholds=(0.5, 0.5, 0.5), task=TASK):
    state = {"fitted": [False] * len(task.classes), "state": {}}
    return Deployed(task, NoCalibrator(), state, np.array(thresholds), NoRule())


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    labels = (rng.random((200, 3)) < 0.3).astype(float)
    logits = rng.normal(size=(200, 3)) + labels - 0.5
    patients = np.array([f"p{k // 2}" for k in range(200)])
    return logits, labels, patients


def compared(data, engine, tolerance=None, deployed=None, tested=(0, 1, 2)):
    logits, labels, patients = data
    columns = labels[:, : len(tested)]
    return compare(
        deployed or behind(), logits, engine, tested, columns, patients, "passport", tolerance or Tolerance()
    )


def test_the_same_logits_pass_with_no_difference_at_all(data):
    found = compared(data, data[0].copy())
    assert found.passed
    assert (found.max_abs_logit, found.delta_auc, found.flips) == (0, 0, 0)
    assert (found.low, found.high) == (0, 0)


def test_differences_are_those_counted_by_hand(data):
    logits, labels, _ = data
    engine = logits.copy()
    rng = np.random.default_rng(1)
    engine[:, 1] += rng.normal(scale=0.3, size=200)
    found = compared(data, engine)
    gaps = np.abs(engine - logits)
    assert found.max_abs_logit == gaps.max()
    assert found.mean_abs_logit == pytest.approx(gaps.mean())
    flipped = (engine >= 0) != (logits >= 0)
    assert found.flips == pytest.approx(flipped.mean())
    for column, each in enumerate(found.findings):
        delta = roc_auc_score(labels[:, column], engine[:, column]) - roc_auc_score(
            labels[:, column], logits[:, column]
        )
        assert each.delta_auc == pytest.approx(delta)
        assert each.flips == pytest.approx(flipped[:, column].mean())
        assert each.max_abs_logit == gaps[:, column].max()
    assert found.delta_auc == pytest.approx(np.mean([each.delta_auc for each in found.findings]))
    assert found.low < found.delta_auc < found.high


def test_a_finding_without_threshold_is_not_decided_and_flips_nothing(data):
    engine = data[0] + 0.3
    found = compared(data, engine, deployed=behind((0.5, math.nan, 0.5)))
    assert math.isnan(found.findings[1].flips)
    flipped = ((engine >= 0) != (data[0] >= 0))[:, [0, 2]]
    assert found.flips == pytest.approx(flipped.mean())


@pytest.mark.parametrize(
    ("tolerance", "part"),
    [
        (Tolerance(auc=1, flips=0.001), "of decisions flipped"),
        (Tolerance(auc=1e-6, flips=1), "macro AUC"),
        (Tolerance(auc=1, flips=1, logit=0.1), "a logit is"),
    ],
)
def test_an_engine_beyond_a_tolerance_fails_and_says_which(data, tolerance, part):
    engine = data[0] + np.random.default_rng(2).normal(scale=0.5, size=data[0].shape)
    found = compared(data, engine, tolerance)
    assert not found.passed
    (reason,) = found.reasons
    assert part in reason


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite_fail(data, bad):
    engine = data[0].copy()
    engine[3, 1] = bad
    found = compared(data, engine, Tolerance(1, 1))
    assert not found.passed
    assert found.reasons == ("a logit is not finite",)


def test_an_auc_that_is_undefined_is_not_held_against_the_engine(data):
    logits, labels, patients = data
    found = compare(behind(), logits, logits, (0, 1, 2), np.zeros_like(labels), patients, "p", Tolerance())
    assert math.isnan(found.delta_auc)
    assert found.passed


def test_only_tested_classes_count(data):
    engine = data[0].copy()
    engine[:, 2] += 5
    found = compared(data, engine, tested=(0, 1))
    assert found.passed
    assert [each.finding for each in found.findings] == ["Mass", "Hernia"]


def test_the_most_probable_class_decides_where_one_is_right():
    task = Task("singlelabel", CLASSES)
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 90)
    labels = np.eye(3)[truth]
    logits = rng.normal(size=(90, 3)) + labels
    engine = logits + rng.normal(scale=0.4, size=(90, 3))
    deployed = dataclasses.replace(behind(task=task), thresholds=np.full(3, np.nan))
    patients = np.arange(90).astype(str)
    found = compare(deployed, logits, engine, (0, 1, 2), labels, patients, "p", Tolerance(1, 1))
    other = logits.argmax(axis=1) != engine.argmax(axis=1)
    # A changed class is two changed decisions of three.
    assert found.flips == pytest.approx(other.mean() * 2 / 3)


def test_a_gate_is_read_from_text():
    assert Tolerance.parse("auc=0.01") == Tolerance(auc=0.01)
    assert Tolerance.parse(" flips=0.5, logit=2") == Tolerance(flips=0.5, logit=2)


@pytest.mark.parametrize("text", ["", "auc", "auc=x", "auc=-1", "auc=nan", "speed=1"])
def test_what_is_no_gate_is_refused(text):
    with pytest.raises(UsageError, match="--gate takes"):
        Tolerance.parse(text)
