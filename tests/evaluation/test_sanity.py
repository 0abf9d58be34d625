import numpy as np
import pytest
from evaluating import CLASSES, TASK, cohort_of, draw

from cxrbench.evaluation.replicates import resample
from cxrbench.evaluation.sanity import check_leaks, check_outputs


def checks(labels, logits, patients=None):
    probabilities = TASK.probabilities(logits)
    decisions = TASK.decide(probabilities, np.full(5, 0.4))
    found = resample(cohort_of(labels, patients), probabilities, decisions, 100)
    answer = check_outputs(TASK, labels, logits, found.overall()["macro_auc"].interval())
    for each in answer:
        assert each["reason"].endswith(".")
    return {each["check"]: each["reason"] for each in answer}


@pytest.mark.parametrize("gap", [0.3, 1.0])
def test_a_system_that_has_learnt_something_is_sound(gap):
    labels, logits, patients = draw(0, n=800, gap=gap)
    assert checks(labels, logits, patients) == {}


@pytest.mark.parametrize("seed", range(5))
def test_a_random_head_on_real_features_is_untrained_however_large_the_test_set(seed):
    # Features tell of the labels, so each finding's AUC is off .5 by more than sampling, on either side.
    rng = np.random.default_rng(seed)
    labels = (rng.random((8000, 5)) < 0.3).astype(float)
    features = rng.normal(size=(8000, 20)) + labels @ rng.normal(size=(5, 20))
    logits = features @ rng.normal(size=(20, 5))
    assert list(checks(labels, logits)) == ["untrained"]


def test_outputs_that_do_not_vary_are_named():
    labels, logits, _ = draw(1)
    one = logits.copy()
    one[:, 2] = 3.25
    assert checks(labels, one)["constant_output"].endswith("for C.")
    # The same vector for every image, but for the last bit of fp32.
    same = np.full_like(logits, 1.5)
    same[::2] = np.nextafter(np.float32(1.5), np.float32(2))
    found = checks(labels, same)
    assert "all findings" in found["constant_output"]
    assert "untrained" in found


def test_outputs_that_are_not_finite_are_counted():
    labels, logits, _ = draw(2)
    logits[[3, 7], 1] = np.nan
    logits[3, 4] = np.inf
    assert checks(labels, logits)["nan"] == "2 images have an output that is not finite, for B, E."


def test_labels_handed_in_as_scores_are_a_leak():
    labels, logits, _ = draw(3)
    assert "label_leak" in checks(labels, labels * 8 - 4 + 1e-3 * logits)
    almost = labels * 8 - 4 + 1e-3 * logits
    almost[np.flatnonzero(labels[:, 0] == 1)[0], 0] = -9
    assert "label_leak" not in checks(labels, almost)


def test_patients_of_test_in_other_roles_are_a_leak_and_not_known_is_none():
    (leak,) = check_leaks({"train/val": 5, "train/test": 3, "val/test": 0, "tune/test": 1})
    assert leak == {
        "check": "label_leak",
        "reason": "Patients of test have images in other roles too: 3 in train, 1 in tune.",
    }
    assert check_leaks({"train/val": 5, "train/test": 0, "tune/test": None}) == []
    assert len(CLASSES) == 5
