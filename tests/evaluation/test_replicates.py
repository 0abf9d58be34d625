import numpy as np
import pytest
from evaluating import CLASSES, TASK, cohort_of, draw
from sklearn import metrics

from cxrbench.evaluation.figures import overall
from cxrbench.evaluation.replicates import centred, resample
from cxrbench.findings import NO_FINDING
from cxrbench.statistics.comparison import paired_difference
from cxrbench.statistics.resamples import Resamples
from cxrbench.task import Task


def resampled(seed, replicates=60, unknown=0.0, **given):
    labels, logits, patients = draw(seed, **given)
    if unknown:
        labels[np.random.default_rng(seed).random(labels.shape) < unknown] = np.nan
    probabilities = TASK.probabilities(np.round(logits, 1))
    decisions = TASK.decide(probabilities, np.full(5, 0.4))
    cohort = cohort_of(labels, patients)
    return cohort, probabilities, decisions, resample(cohort, probabilities, decisions, replicates)


@pytest.mark.parametrize("unknown", [0.0, 0.2])
def test_every_replicate_is_the_figure_of_the_images_drawn(unknown):
    cohort, probabilities, decisions, found = resampled(0, 6, unknown)
    resamples = Resamples(cohort.patients.to_numpy(), "passport", 6)
    (weights,) = resamples.weights()
    estimates = found.overall()
    for drawn in range(6):
        rows = np.repeat(np.arange(len(cohort.labels)), weights[resamples.rows, drawn].astype(int))
        expected = overall(TASK, cohort.labels[rows], probabilities[rows], decisions[rows])
        for name, estimate in estimates.items():
            if name != "macro_ece":  # its bias is taken off
                assert estimate.replicates[drawn] == pytest.approx(expected[name]), name
        known = ~np.isnan(cohort.labels[rows, 1])
        auc = metrics.roc_auc_score(cohort.labels[rows, 1][known], probabilities[rows, 1][known])
        assert found.table()["auc:B"][drawn] == pytest.approx(auc, abs=1e-6)


def test_the_values_are_the_figures_of_the_whole_set():
    cohort, probabilities, decisions, found = resampled(1, 2)
    whole = overall(TASK, cohort.labels, probabilities, decisions)
    for name, estimate in found.overall().items():
        assert estimate.value == pytest.approx(whole[name]), name


def test_every_interval_of_a_sound_system_holds_its_figure_the_calibration_error_too():
    _, _, _, found = resampled(2, 400)
    intervals = found.intervals()
    for name, estimate in found.overall().items():
        assert intervals["metrics"][name]["low"] <= estimate.value <= intervals["metrics"][name]["high"], name
    assert [row["finding"] for row in intervals["per_finding"]] == list(CLASSES)
    for column, row in enumerate(intervals["per_finding"]):
        auc = found.each.values[0, column]
        assert row["auc"]["low"] < auc < row["auc"]["high"]
        # Two ways to the same interval, of which one does not resample.
        assert row["auc_delong"]["low"] == pytest.approx(row["auc"]["low"], abs=0.02)
        assert row["auc_delong"]["high"] == pytest.approx(row["auc"]["high"], abs=0.02)


def test_a_calibration_errors_replicates_are_about_the_error_and_never_below_0():
    rng = np.random.default_rng(0)
    probabilities = rng.uniform(0.05, 0.95, (500, 5))
    labels = (rng.random((500, 5)) < probabilities).astype(float)
    decisions = TASK.decide(probabilities, np.full(5, 0.5))
    found = resample(cohort_of(labels), probabilities, decisions, 200)
    row = found.each.metrics.index("ece")
    assert found.each.replicates[row].min() >= 0
    assert found.each.replicates[row].mean(axis=1) == pytest.approx(found.each.values[row], rel=0.1)
    assert centred(found.each, "ece").replicates[row] == pytest.approx(found.each.replicates[row], rel=0.2)


def test_intervals_by_patient_are_wider_than_by_image():
    labels, logits, patients = draw(3, n=600, images_a_patient=6)
    # All images of a patient are alike in label and score: six images say what one says.
    labels, logits = labels[patients * 6], logits[patients * 6]
    probabilities = TASK.probabilities(logits)
    decisions = TASK.decide(probabilities, np.full(5, 0.4))
    widths = []
    for names in (patients, None):
        found = resample(cohort_of(labels, names), probabilities, decisions, 300)
        interval = found.overall()["macro_auc"].interval()
        widths.append(interval.high - interval.low)
    assert widths[0] / widths[1] == pytest.approx(np.sqrt(6), rel=0.25)


def test_two_systems_on_one_passport_are_paired_and_on_two_are_not():
    labels, logits, patients = draw(4)
    better = TASK.probabilities(logits + 0.5 * labels)
    worse = TASK.probabilities(logits)
    estimates = []
    for probabilities, passport in ((better, "a"), (worse, "a"), (worse, "b")):
        decisions = TASK.decide(probabilities, np.full(5, 0.4))
        found = resample(cohort_of(labels, patients, passport=passport), probabilities, decisions, 200)
        estimates.append(found.overall()["macro_auc"])
    difference = paired_difference(*estimates[:2])
    assert difference.interval.low > 0
    single = estimates[0].interval()
    assert difference.interval.high - difference.interval.low < single.high - single.low
    with pytest.raises(Exception, match="different resamples"):
        paired_difference(estimates[0], estimates[2])


def test_of_one_class_out_of_several_accuracy_and_missed_images_are_resampled():
    task = Task("singlelabel", ("A", "B", NO_FINDING))
    rng = np.random.default_rng(0)
    labels = np.eye(3)[rng.integers(0, 3, 200)]
    probabilities = task.probabilities(rng.normal(size=(200, 3)) + labels)
    decisions = task.decide(probabilities, None)
    cohort = cohort_of(labels, task=task)
    found = resample(cohort, probabilities, decisions, 100).overall()
    right = (labels.argmax(1) == decisions.argmax(1)).mean()
    missed = (decisions[labels[:, 2] == 0, 2] == 1).mean()
    assert found["accuracy"].value == pytest.approx(right)
    assert found["fnfr"].value == pytest.approx(missed)
    assert found["accuracy"].replicates.std() == pytest.approx(np.sqrt(right * (1 - right) / 200), rel=0.25)
