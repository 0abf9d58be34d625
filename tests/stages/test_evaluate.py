import json

import numpy as np
import pandas as pd
import pytest
from evaluating import CLASSES, TASK, cohort_of
from sklearn import metrics

from cxrbench.calibrators.vector import Vector
from cxrbench.decisions.none import NoRule
from cxrbench.evaluation.figures import overall, per_finding
from cxrbench.interfaces import OperatingPoint
from cxrbench.stages import calibrate, evaluate, threshold
from cxrbench.stages.threshold import Point
from cxrbench.task import Task


def matrices(seed, unknown=0.2, n=120):
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 5)) < [0.5, 0.3, 0.2, 0.1, 0.6]).astype(float)
    logits = rng.normal(size=(n, 5)) + labels
    probabilities = TASK.probabilities(np.round(logits, 1))  # rounded: ties
    labels[rng.random((n, 5)) < unknown] = np.nan
    return labels, probabilities


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("unknown", [0.0, 0.3])
def test_every_figure_is_scikit_learns_on_the_known_labels(seed, unknown):
    labels, probabilities = matrices(seed, unknown)
    thresholds = np.array([0.5, 0.4, 0.6, 0.3, 0.7])
    decisions = TASK.decide(probabilities, thresholds)
    known = ~np.isnan(labels)
    table = per_finding(TASK, labels, probabilities, decisions, thresholds).set_index("finding")
    for column, name in enumerate(CLASSES):
        rows = known[:, column]
        truth, score, called = labels[rows, column], probabilities[rows, column], decisions[rows, column]
        tn, fp, fn, tp = metrics.confusion_matrix(truth, called).ravel()
        expected = {
            "auc": metrics.roc_auc_score(truth, score),
            "ap": metrics.average_precision_score(truth, score),
            "f1": metrics.f1_score(truth, called),
            "precision": metrics.precision_score(truth, called),
            "recall": metrics.recall_score(truth, called),
            "specificity": metrics.recall_score(truth, called, pos_label=0),
            "accuracy": metrics.accuracy_score(truth, called),
            "brier": metrics.brier_score_loss(truth, score),
            "n_pos": truth.sum(),
            "n_neg": (truth == 0).sum(),
            "n_unknown": (~rows).sum(),
            "tp": tp,
            "fp": fp,
            "tn": tn,
            "fn": fn,
            "auc_binarized": metrics.balanced_accuracy_score(truth, called),
            "mcc": metrics.matthews_corrcoef(truth, called),
            "partial_auc": metrics.roc_auc_score(truth, score, max_fpr=0.1),
            "net_benefit": (tp - fp * thresholds[column] / (1 - thresholds[column])) / rows.sum(),
        }
        for figure, value in expected.items():
            assert table.loc[name, figure] == pytest.approx(value), (name, figure)
    overall_ = overall(TASK, labels, probabilities, decisions)
    flat = labels[known], probabilities[known], decisions[known]
    positives = (labels == 1).sum(axis=0)
    for kind in ("auc", "ap", "f1"):
        assert overall_[f"macro_{kind}"] == pytest.approx(table[kind].mean())
        assert overall_[f"weighted_{kind}"] == pytest.approx(np.average(table[kind], weights=positives))
    assert overall_["micro_auc"] == pytest.approx(metrics.roc_auc_score(flat[0], flat[1]))
    assert overall_["micro_ap"] == pytest.approx(metrics.average_precision_score(flat[0], flat[1]))
    assert overall_["micro_f1"] == pytest.approx(metrics.f1_score(flat[0], flat[2]))
    assert overall_["micro_recall"] == pytest.approx(metrics.recall_score(flat[0], flat[2]))
    assert overall_["hamming_loss"] == pytest.approx(metrics.hamming_loss(flat[0], flat[2]))
    # Only an image whose labels are all known can match them all.
    whole = known.all(axis=1)
    assert overall_["exact_match_images"] == whole.sum()
    assert overall_["exact_match"] == pytest.approx(metrics.accuracy_score(labels[whole], decisions[whole]))
    assert overall_["accuracy"] + overall_["hamming_loss"] == pytest.approx(1)
    if unknown == 0:
        assert overall_["lrap"] == pytest.approx(
            metrics.label_ranking_average_precision_score(labels, probabilities)
        )
        assert overall_["coverage_error"] == pytest.approx(metrics.coverage_error(labels, probabilities))
        parts = table["brier_reliability"] - table["brier_resolution"] + table["brier_uncertainty"]
        assert parts.to_numpy() == pytest.approx(table["brier"].to_numpy())


def evaluated(folder, labels, probabilities, points=None, tables=None, calibrator="none", **given):
    cohort = cohort_of(labels, **given)
    logits = np.log(probabilities / (1 - probabilities))
    tables = tables or {"none": probabilities, "temperature": np.clip(probabilities * 0.9, 0, 1)}
    evaluate.run(
        folder,
        cohort,
        NoRule(),
        points or dict.fromkeys(CLASSES, Point(0.5)),
        logits,
        tables,
        calibrator,
        dict.fromkeys(tables, 3),
        labels,
        probabilities,
        10,
    )
    return json.loads((folder / "metrics.json").read_text())


def test_a_finding_without_positives_has_no_auc_and_no_average_takes_it_for_0(tmp_path):
    labels, probabilities = matrices(0)
    labels[labels[:, 3] == 1, 3] = 0
    points = dict.fromkeys(CLASSES, Point(0.5)) | {"D": Point(float("nan"), False, "0 positives")}
    found = evaluated(tmp_path, labels, probabilities, points)
    row = found["per_finding"][3]
    for figure in ("auc", "ap", "f1", "threshold", "precision", "recall", "accuracy"):
        assert row[figure] is None, figure
    assert (row["n_pos"], row["feasible"], row["reason"]) == (0, False, "0 positives")
    assert (row["tp"], row["fp"], row["tn"], row["fn"]) == (0, 0, 0, 0)
    rest = [r["auc"] for r in found["per_finding"] if r["finding"] != "D"]
    assert found["metrics"]["macro_auc"] == pytest.approx(np.mean(rest))
    assert found["metrics"]["auc_findings"] == found["metrics"]["decided_findings"] == 4
    csv = pd.read_csv(tmp_path / "per_finding.csv").set_index("finding")
    assert np.isnan(csv.loc["D", "auc"])
    assert np.isnan(csv.loc["D", "threshold"])


def test_the_null_rows_are_what_a_network_must_beat(tmp_path):
    labels, probabilities = matrices(1, unknown=0)
    rows = {row["name"]: row["metrics"] for row in evaluated(tmp_path, labels, probabilities)["null"]}
    prevalence, negative = rows["prevalence"], rows["always_negative"]
    assert prevalence["macro_auc"] == negative["macro_auc"] == 0.5
    assert prevalence["macro_ap"] == pytest.approx(labels.mean())
    assert prevalence["macro_brier"] == pytest.approx((labels.mean(0) * (1 - labels.mean(0))).mean())
    assert prevalence["macro_ece"] == pytest.approx(0, abs=1e-9)
    assert prevalence["macro_f1"] is prevalence["exact_match"] is prevalence["hamming_loss"] is None
    assert negative["exact_match"] == (labels == 0).all(axis=1).mean()
    assert negative["hamming_loss"] == pytest.approx(labels.mean())
    assert negative["macro_recall"] == 0


def test_calibration_is_shown_raw_and_after_each_calibrator(tmp_path):
    labels, probabilities = matrices(2)
    found = evaluated(tmp_path, labels, probabilities)["calibration"]
    assert set(found) == {"none", "temperature"}
    known = ~np.isnan(labels[:, 0])
    table = pd.read_csv(tmp_path / "calibration.csv").set_index(["calibrator", "finding"])
    for name, factor in (("none", 1.0), ("temperature", 0.9)):
        expected = metrics.brier_score_loss(labels[known, 0], probabilities[known, 0] * factor)
        assert table.loc[(name, "A"), "brier"] == pytest.approx(expected)
        assert found[name]["macro_brier"] == pytest.approx(table.loc[name, "brier"].mean())


def test_the_roc_curve_has_scikit_learns_points_and_ends(tmp_path):
    labels, probabilities = matrices(3)
    evaluated(tmp_path, labels, probabilities)
    roc = pd.read_csv(tmp_path / "roc.csv")
    known = ~np.isnan(labels[:, 0])
    fpr, tpr, _ = metrics.roc_curve(labels[known, 0], probabilities[known, 0], drop_intermediate=False)
    points = set(zip(fpr.round(9), tpr.round(9), strict=True))
    ours = roc[roc["finding"] == "A"]
    assert set(zip(ours["fpr"].round(9), ours["tpr"].round(9), strict=True)) <= points
    assert ours[["fpr", "tpr"]].iloc[0].tolist() == [0, 0]
    assert ours[["fpr", "tpr"]].iloc[-1].tolist() == [1, 1]


# Calibrate


class Recorder:
    """Says which rows it was fitted on: each row carries its patient's number as its logit."""

    tasks = frozenset({"multilabel"})

    def __init__(self):
        self.seen = []

    def fit(self, logits, labels):
        assert np.isin(labels, (0, 1)).any(axis=0).all()
        self.seen.append(set(logits[:, 0]))
        return {"fit": len(self.seen) - 1}

    def probabilities(self, logits, state):
        return np.full(logits.shape, (state["fit"] + 1) / 100)


def cross_fitted(folder, labels, patients, least=1):
    recorder = Recorder()
    ids = pd.Index([f"i{row:03d}" for row in range(len(labels))], name="image_id")
    logits = np.repeat(patients[:, None].astype(float), 5, axis=1)
    named = pd.Series([f"patient {p}" for p in patients], index=ids)
    calibrate.run(folder, recorder, TASK, logits, labels, named, least)
    return recorder, calibrate.read_tune(folder), logits


def test_no_probability_of_tune_comes_from_a_fit_that_saw_its_patient(tmp_path):
    labels, _ = matrices(0, unknown=0)
    patients = np.arange(len(labels)) // 3
    recorder, probabilities, _ = cross_fitted(tmp_path, labels, patients)
    fits = (probabilities[:, 0] * 100).round().astype(int) - 1
    assert len(set(fits)) == calibrate.FOLDS
    for patient, fit in zip(patients, fits, strict=True):
        assert float(patient) not in recorder.seen[fit]
    assert recorder.seen[0] == {float(p) for p in patients}  # the final one sees all of tune
    assert calibrate.read_state(tmp_path)["state"] == {"fit": 0}


def test_a_finding_with_too_few_of_a_class_keeps_its_raw_probabilities(tmp_path):
    labels, _ = matrices(0, unknown=0)
    labels[:, 1] = 0
    labels[:9, 1] = 1
    labels[:, 2] = 1
    _, probabilities, logits = cross_fitted(tmp_path, labels, np.arange(len(labels)), least=10)
    state = calibrate.read_state(tmp_path)
    assert state["fitted"] == [True, False, False, True, True]
    raw = TASK.probabilities(logits)
    assert np.array_equal(probabilities[:, [1, 2]], raw[:, [1, 2]])
    applied = calibrate.apply(Recorder(), state, TASK, logits)
    assert np.array_equal(applied[:, [1, 2]], raw[:, [1, 2]])
    assert (applied[:, [0, 3, 4]] == 0.01).all()


@pytest.mark.parametrize(("rarest", "fitted"), [(12, True), (9, False)])
def test_classes_of_a_single_label_task_are_fitted_together_or_not_at_all(tmp_path, rarest, fitted):
    task = Task("singlelabel", ("A", "B", "C"))
    labels = np.eye(3)[np.repeat([0, 1, 2], [60, 40, rarest])]
    logits = np.random.default_rng(0).normal(size=labels.shape) + 2 * labels
    ids = [f"i{row}" for row in range(len(labels))]
    named = pd.Series([f"patient of {image}" for image in ids], index=ids)
    calibrate.run(tmp_path, Vector(), task, logits, labels, named, 10)
    assert calibrate.read_state(tmp_path)["fitted"] == [fitted] * 3
    cross = calibrate.read_tune(tmp_path)
    np.testing.assert_allclose(cross.sum(axis=1), 1, rtol=1e-6)
    assert np.allclose(cross, task.probabilities(logits), atol=1e-3) != fitted


def test_min_positives_0_still_asks_for_one_of_each_class():
    labels = np.array([[1, 1, 0, np.nan], [0, 1, 0, np.nan]])
    assert calibrate.enough_of_both(labels, 0).tolist() == [True, False, False, False]


# Threshold


@pytest.mark.parametrize(
    ("probabilities", "labels", "threshold_", "called"),
    [
        ([0.9, 0.8, 0.3, 0.1], [0, 1, 0, 0], 0.9, 1),
        ([0.9, 0.8, 0.3, 0.1], [0, 1, 0, 1], 0.8, 2),
        ([0.1, 0.8, 0.9, 0.3], [0, 1, np.nan, 0], 0.8, 1),
        ([0.5, 0.5, 0.2], [1, 0, 0], 0.5, 2),
    ],
)
def test_prevalence_matching_calls_as_many_as_there_are(probabilities, labels, threshold_, called):
    probabilities, labels = np.array(probabilities), np.array(labels, dtype=float)
    point = threshold.prevalence_matching(probabilities, labels, 10, "tune")
    assert point.threshold == threshold_
    assert not point.feasible
    assert "matches the prevalence" in point.reason
    assert (probabilities[~np.isnan(labels)] >= point.threshold).sum() == called


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], [np.nan, np.nan]])
def test_with_one_class_there_is_no_threshold(labels):
    point = threshold.prevalence_matching(np.array([0.2, 0.7]), np.array(labels, dtype=float), 10, "tune")
    assert np.isnan(point.threshold)
    assert not point.feasible
    assert "no threshold" in point.reason


class Half:
    tasks = frozenset({"multilabel"})

    def fit(self, probabilities, labels, *, calibrated):
        return [OperatingPoint(0.5, reason=f"calibrated {calibrated}") for _ in labels.T]


@pytest.mark.parametrize(("least", "own"), [(10, 3), (0, 5)])
def test_only_findings_with_enough_of_both_are_left_to_the_strategy(tmp_path, least, own):
    labels, probabilities = matrices(0, unknown=0)
    labels[:, 1] = 0
    labels[9:, 2] = 0
    patients = pd.Series([f"p{row // 2}" for row in range(len(labels))])
    threshold.run(tmp_path, Half(), TASK, probabilities, labels, patients, least, role="val", calibrated=True)
    points = threshold.read_points(tmp_path)
    assert list(points) == list(CLASSES)
    assert sum(point.reason == "calibrated True" for point in points.values()) == own
    if least:
        assert np.isnan(points["B"].threshold)
        assert points["C"].reason.startswith("positives on val: ")
