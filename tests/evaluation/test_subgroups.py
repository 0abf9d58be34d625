import numpy as np
import pytest
from evaluating import TASK, cohort_of, draw
from sklearn import metrics

from cxrbench.evaluation.subgroups import groups_of, subgroups_summary, subgroups_table
from cxrbench.statistics.calibration import expected_calibration_error

THRESHOLD = 0.4


def made(seed=0, n=600, least=10, **changes):
    labels, logits, patients = draw(seed, n=n)
    rng = np.random.default_rng(seed + 100)
    sex = rng.choice(["F", "M"], n).astype(object)
    facts = {"sex": sex, "age": rng.uniform(0, 95, n), "view": rng.choice(["PA", "AP"], n)} | changes
    probabilities = TASK.probabilities(logits)
    cohort = cohort_of(labels, patients, facts)
    decisions = TASK.decide(probabilities, np.full(5, THRESHOLD))
    return cohort, probabilities, subgroups_table(cohort, probabilities, decisions, least)


def row(table, attribute, group, finding):
    found = table[
        (table["attribute"] == attribute) & (table["group"] == group) & (table["finding"] == finding)
    ]
    assert len(found) == 1
    return found.iloc[0]


def test_every_figure_is_that_of_the_groups_own_images():
    cohort, probabilities, table = made()
    for attribute, group, inside in (
        ("sex", "F", (cohort.facts["sex"] == "F").to_numpy()),
        ("age", "40-59", cohort.facts["age"].between(40, 60, inclusive="left").to_numpy()),
    ):
        truth, score = cohort.labels[inside, 1], probabilities[inside, 1]
        tn, fp, fn, tp = metrics.confusion_matrix(truth, score >= THRESHOLD).ravel()
        found = row(table, attribute, group, "B")
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(truth, score))
        assert found["tpr"] == pytest.approx(tp / (tp + fn))
        assert found["fpr"] == pytest.approx(fp / (fp + tn))
        assert found["ece"] == pytest.approx(expected_calibration_error(score[:, None], truth[:, None])[0])
        rest = metrics.roc_auc_score(cohort.labels[~inside, 1], probabilities[~inside, 1])
        assert found["auc_gap"] == pytest.approx(found["auc"] - rest)
        assert (found["images"], found["n_pos"], found["n_neg"]) == (inside.sum(), tp + fn, tn + fp)
        assert found["patients"] == cohort.patients[inside].nunique()
        for name in ("auc", "tpr", "fpr", "ece", "auc_gap"):
            assert found[f"{name}_low"] < found[name] < found[f"{name}_high"], name


def test_of_two_groups_the_gaps_are_each_others_opposites():
    _, _, table = made(1)
    for finding in ("", "A", "D"):
        f, m = (row(table, "sex", group, finding) for group in ("F", "M"))
        for name in ("auc", "tpr", "fpr", "ece"):
            assert f[f"{name}_gap"] == pytest.approx(-m[f"{name}_gap"]), name
            assert f[f"{name}_gap_low"] == pytest.approx(-m[f"{name}_gap_high"]), name


def test_a_group_that_is_judged_worse_has_a_gap_that_is_seen():
    labels, logits, patients = draw(2, n=1200, images_a_patient=1)
    sex = np.where(np.arange(1200) % 2, "F", "M").astype(object)
    noise = np.random.default_rng(0).normal(size=logits.shape)
    logits = np.where((sex == "F")[:, None], 2.5 * noise, logits)
    probabilities = TASK.probabilities(logits)
    cohort = cohort_of(labels, patients, {"sex": sex})
    table = subgroups_table(cohort, probabilities, TASK.decide(probabilities, np.full(5, 0.4)), 10)
    worse = row(table, "sex", "F", "")
    assert worse["auc_gap_high"] < -0.1
    assert worse["ece_gap_low"] > 0.05


def test_small_groups_are_withheld_counted_and_say_how_small_they_are():
    sex = np.array(["F"] * 30 + ["M"] * 570, dtype=object)
    cohort, _, table = made(3, sex=sex)
    inside = (sex == "F")[:, None]
    for group in ("F", "M"):
        for column, name in enumerate("ABCDE"):
            positives = int(((cohort.labels == 1) & inside)[:, column].sum())
            few = positives < 10 or 30 - positives < 10
            found = row(table, "sex", group, name)
            # What is withheld of F would follow from M and the whole.
            assert found["withheld"] == few
            assert np.isnan(found["auc"]) == few
            assert np.isnan(found["auc_gap"]) == few
        whole = row(table, "sex", group, "")
        assert whole["withheld"] == sum(row(table, "sex", group, name)["withheld"] for name in "ABCDE")
    shown = [row(table, "sex", "F", name) for name in "ABCDE"]
    assert row(table, "sex", "F", "")["auc"] == pytest.approx(np.nanmean([each["auc"] for each in shown]))


def test_age_bands_are_those_of_whole_years_and_unknown_is_in_no_group():
    age = np.full(600, np.nan)
    age[:6] = [17, 18, 39, 40, 79, 80]
    cohort, _, table = made(4, age=age, sex=np.full(600, None))
    bands = {
        group.name: np.flatnonzero(group.inside).tolist()
        for group in groups_of(cohort)
        if group.attribute == "age"
    }
    assert bands == {"0-17": [0], "18-39": [1, 2], "40-59": [3], "60-79": [4], "80+": [5]}
    rest = {group.name: group.rest.sum() for group in groups_of(cohort) if group.attribute == "age"}
    assert set(rest.values()) == {5, 4}
    assert "sex" not in set(table["attribute"])
    assert all(found["withheld"] == 5 for found in subgroups_summary(table) if found["attribute"] == "age")


def test_patients_with_one_image_and_with_several_are_told_apart():
    labels, logits, _ = draw(5, n=300)
    patients = [*range(100), *np.repeat(np.arange(100, 200), 2)]
    probabilities = TASK.probabilities(logits)
    cohort = cohort_of(labels, patients)
    table = subgroups_table(cohort, probabilities, TASK.decide(probabilities, np.full(5, 0.4)), 10)
    one, several = (row(table, "images", group, "") for group in ("one", "several"))
    assert (one["images"], one["patients"]) == (100, 100)
    assert (several["images"], several["patients"]) == (200, 100)
