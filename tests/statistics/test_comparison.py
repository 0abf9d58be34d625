"""Paired differences, Holm's adjustment against closed testing, groups of ties."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import CxrbenchError
from cxrbench.statistics.bootstrap import Estimate, bootstrap
from cxrbench.statistics.comparison import holm, paired_difference, tie_groups
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Ranking

NAN = math.nan


def estimate(value, replicates, seed="x", findings=("a",)):
    return Estimate(value, np.asarray(replicates, float), seed, findings)


def test_a_difference_subtracts_replicate_by_replicate():
    shared = np.random.default_rng(0).normal(size=999)
    gap = np.linspace(-0.01, 0.09, 999)
    difference = paired_difference(estimate(0.84, shared + gap), estimate(0.8, shared))
    assert difference.value == pytest.approx(0.04)
    assert (difference.interval.low, difference.interval.high) == pytest.approx((-0.0075, 0.0875))
    # 100 of 999 are at most 0, and one is added.
    assert difference.p == pytest.approx(2 * 101 / 1000)


def test_p_is_never_zero_and_one_without_a_difference():
    assert paired_difference(estimate(1, np.ones(999)), estimate(0, np.zeros(999))).p == 2 / 1000
    assert paired_difference(estimate(1, np.ones(9)), estimate(1, np.ones(9))).p == 1


def test_undefined_replicates_leave_the_difference_undefined_where_they_are_many():
    few = np.append(np.linspace(0.1, 0.2, 95), [NAN] * 5)
    assert paired_difference(estimate(0.1, few), estimate(0, np.zeros(100))).interval.undefined == 5
    many = np.append(np.linspace(0.1, 0.2, 80), [NAN] * 20)
    assert math.isnan(paired_difference(estimate(0.1, many), estimate(0, np.zeros(100))).p)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (estimate(0, np.zeros(9), seed="another test set"), "different resamples"),
        (estimate(0, np.zeros(8)), "different resamples"),
        (estimate(0, np.zeros(9), findings=("a", "b")), "different findings"),
    ],
)
def test_what_is_not_paired_is_refused(other, why):
    with pytest.raises(CxrbenchError, match=why):
        paired_difference(estimate(0, np.zeros(9)), other)


@pytest.mark.parametrize("others", [["b", "c", "d"], ["a", "b", "b"]])
def test_other_patients_under_the_same_text_are_not_paired(others):
    scores, labels = np.array([[0.1], [0.9], [0.4]]), np.array([[0.0], [1], [0]])

    def macro(patients):
        resamples = Resamples(patients, "x", 9)
        return bootstrap(["f"], resamples, [Ranking(scores, labels, resamples)]).macro("auc")

    paired_difference(macro(["a", "b", "c"]), macro(["c", "b", "a"]))
    with pytest.raises(CxrbenchError, match="different resamples"):
        paired_difference(macro(["a", "b", "c"]), macro(others))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_equals_closed_testing_with_bonferroni(p_values):
    p = np.array(p_values)
    # A hypothesis is rejected where every intersection that holds it is, each by Bonferroni.
    expected = [
        max(
            min(1.0, len(chosen) * p[list(chosen)].min())
            for size in range(1, len(p) + 1)
            for chosen in itertools.combinations(range(len(p)), size)
            if k in chosen
        )
        for k in range(len(p))
    ]
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, NAN, 0.03])), [0.06, 0.03, NAN, 0.06])
    assert holm(np.array([])).size == 0


def test_tie_groups_share_what_does_not_differ_from_the_leader():
    values = np.array([0.7, 0.9, 0.8, 0.89, NAN])
    p = np.full((5, 5), 0.5)
    for a, b in ((1, 2), (1, 0), (3, 0)):
        p[a, b] = p[b, a] = 0.001
    # 1 leads and 3 is with it; 2 leads what is left, and 0 does not differ from it.
    assert tie_groups(values, p) == [2, 1, 2, 1, None]
    p[2, 0] = p[0, 2] = 0.04
    assert tie_groups(values, p) == [3, 1, 2, 1, None]


def test_each_leader_is_compared_with_holms_adjustment():
    p = np.full((3, 3), NAN)
    p[0, 1] = p[1, 0] = p[0, 2] = p[2, 0] = 0.03
    # 2 × 0.03 is above 0.05.
    assert tie_groups(np.array([0.9, 0.8, 0.7]), p) == [1, 1, 1]


def test_of_equal_values_the_earlier_leads_and_nothing_needs_no_group():
    assert tie_groups(np.array([0.5, 0.5]), np.full((2, 2), 0.001)) == [1, 2]
    assert tie_groups(np.array([]), np.empty((0, 0))) == []


def test_two_seeds_of_a_published_network_differ_by_more_than_test_sampling():
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    folder = data / "predictions/casp_official"
    if not folder.is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    macros = []
    for seed in (0, 1):
        with np.load(folder / f"densenet121_seed{seed}.npz", allow_pickle=False) as file:
            scores, labels, patients = file["test_logits"], file["test_labels"], file["test_patient"]
        resamples = Resamples(patients, "x")
        findings = [str(c) for c in range(labels.shape[1])]
        macros.append(bootstrap(findings, resamples, [Ranking(scores, labels, resamples)]).macro("auc"))
    difference = paired_difference(*macros)
    assert difference.value == pytest.approx(-0.01266, abs=5e-5)
    assert (difference.interval.low, difference.interval.high) == pytest.approx((-0.020, -0.006), abs=1e-3)
    assert difference.p < 0.01
