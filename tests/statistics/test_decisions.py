"""Confusion matrices and their ratios equal scikit-learn's where they are defined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from cxrbench.statistics import decisions as d
from cxrbench.statistics.ranking import auc
from cxrbench.statistics.undefined import ratio

CELLS = st.sampled_from([0.0, 1.0, np.nan])
TABLES = st.tuples(st.integers(1, 30), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=CELLS, fill=st.nothing()),
        arrays(float, shape, elements=CELLS, fill=st.nothing()),
    )
)


@given(TABLES)
@settings(deadline=None)
def test_each_class_equals_sklearn(table):
    decisions, labels = table
    counts = d.confusion(decisions, labels)
    for c in range(labels.shape[1]):
        both = ~(np.isnan(decisions[:, c]) | np.isnan(labels[:, c]))
        called, truth = decisions[both, c], labels[both, c]
        if both.any():
            matrix = metrics.confusion_matrix(truth, called, labels=[0, 1])
            assert [[counts.tn[c], counts.fp[c]], [counts.fn[c], counts.tp[c]]] == matrix.tolist()
        expected = {
            d.precision: metrics.precision_score(truth, called, zero_division=0) if 1 in called else np.nan,
            d.recall: metrics.recall_score(truth, called, zero_division=0) if 1 in truth else np.nan,
            d.specificity: metrics.recall_score(truth, called, pos_label=0, zero_division=0)
            if 0 in truth
            else np.nan,
            d.f1: metrics.f1_score(truth, called, zero_division=0) if 1 in truth else np.nan,
            d.accuracy: metrics.accuracy_score(truth, called) if len(truth) else np.nan,
        }
        for function, value in expected.items():
            np.testing.assert_allclose(function(counts)[c], value, rtol=1e-12, err_msg=function.__name__)


def test_micro_figures_come_from_the_pooled_counts():
    rng = np.random.default_rng(1)
    decisions, labels = (rng.random((2, 200, 5)) < 0.3).astype(float)
    pooled = d.confusion(decisions, labels).pooled()
    for ours, theirs in (
        (d.precision, metrics.precision_score),
        (d.recall, metrics.recall_score),
        (d.f1, metrics.f1_score),
    ):
        assert ours(pooled).item() == pytest.approx(theirs(labels, decisions, average="micro"), rel=1e-12)


def test_exact_match_and_hamming_loss_equal_sklearn():
    rng = np.random.default_rng(2)
    decisions, labels = (rng.random((2, 300, 4)) < 0.2).astype(float)
    assert d.exact_match(decisions, labels) == pytest.approx(metrics.accuracy_score(labels, decisions))
    assert d.hamming_loss(decisions, labels) == pytest.approx(metrics.hamming_loss(labels, decisions))


def test_whole_image_figures_leave_out_undecided_classes_and_unknown_images():
    nan = np.nan
    decisions = np.array([[1, nan, 0], [1, nan, 1], [0, nan, 0], [nan, nan, 0]])
    labels = np.array([[1, 1, 0], [1, nan, 0], [nan, 0, 0], [1, 0, 0]])
    # Left: classes 0 and 2, images 0 (both right) and 1 (one of two wrong).
    assert d.exact_match(decisions, labels) == 0.5
    assert d.whole_images(decisions, labels) == 2
    # Every cell that is decided and known: three of class 0 less one, four of class 2; one of them wrong.
    assert d.hamming_loss(decisions, labels) == pytest.approx(1 / 6)


@pytest.mark.parametrize("function", [d.exact_match, d.hamming_loss])
def test_whole_image_figures_are_undefined_where_nothing_is_left(function):
    known, unknown = np.zeros((3, 2)), np.full((3, 2), np.nan)
    assert np.isnan(function(unknown, known))
    assert np.isnan(function(known, unknown))
    assert np.isnan(function(np.empty((0, 2)), np.empty((0, 2))))


@given(TABLES)
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_balanced_accuracy_and_mcc_equal_sklearn(table):
    decisions, labels = table
    counts = d.confusion(decisions, labels)
    for c in range(labels.shape[1]):
        both = ~(np.isnan(decisions[:, c]) | np.isnan(labels[:, c]))
        called, truth = decisions[both, c], labels[both, c]
        defined = len(set(truth)) == 2
        for ours, theirs in (
            (d.balanced_accuracy, metrics.balanced_accuracy_score),
            (d.mcc, metrics.matthews_corrcoef),
        ):
            expected = theirs(truth, called) if defined else np.nan
            np.testing.assert_allclose(ours(counts)[c], expected, rtol=1e-10, atol=1e-12)


def test_mcc_of_large_counts_does_not_overflow():
    many = np.array([10**9])
    assert d.mcc(d.Confusion(many, many * 0, many, many * 0)).item() == pytest.approx(1.0)


def test_net_benefit_by_hand():
    # 3 true and 2 false of 10 at one in five: 0.3 - 0.2 / 4.
    counts = d.Confusion(*(np.array([k]) for k in (3, 2, 4, 1)))
    assert d.net_benefit(counts, 0.2).item() == pytest.approx(0.25)
    assert np.isnan(d.net_benefit(d.Confusion(*(np.array([0]) for _ in range(4))), 0.2)).all()


@given(TABLES)
@settings(deadline=None)
def test_the_decision_curve_equals_decisions_at_each_threshold(table):
    probabilities, labels = np.nan_to_num(table[0], nan=0.4), table[1]
    thresholds = np.array([0.0, 0.2, 0.4, 0.7])
    called, everything = d.decision_curve(probabilities, labels, thresholds)
    for k, t in enumerate(thresholds):
        counts = d.confusion((probabilities >= t).astype(float), labels)
        np.testing.assert_allclose(called[k], d.net_benefit(counts, t), rtol=1e-12)
        prevalence = ratio((labels == 1).sum(axis=0), (~np.isnan(labels)).sum(axis=0))
        np.testing.assert_allclose(
            everything[k], prevalence - (1 - prevalence) * t / (1 - t), rtol=1e-9, atol=1e-12
        )


@given(TABLES)
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_cohen_kappa_equals_sklearn_where_both_labels_are(table):
    decisions, labels = table
    for c, found in enumerate(d.cohen_kappa(d.confusion(decisions, labels))):
        both = ~(np.isnan(decisions[:, c]) | np.isnan(labels[:, c]))
        truth = labels[both, c]
        expected = (
            metrics.cohen_kappa_score(truth, decisions[both, c], labels=[0, 1])
            if len(set(truth)) == 2
            else np.nan
        )
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(TABLES)
@settings(deadline=None)
def test_balanced_accuracy_is_the_auc_of_the_decisions(table):
    decisions, labels = table
    labels = np.where(np.isnan(decisions), np.nan, labels)
    np.testing.assert_allclose(
        d.balanced_accuracy(d.confusion(decisions, labels)), auc(decisions, labels), rtol=1e-12
    )


@given(TABLES)
@settings(deadline=None)
def test_false_no_finding_rate_counts_images_one_by_one(table):
    decisions, labels = table
    kept = [c for c in range(labels.shape[1]) if not np.isnan(decisions[:, c]).all()]
    passed = []
    for called, truth in zip(decisions[:, kept].tolist(), labels[:, kept].tolist(), strict=True):
        if 1 in truth and (1 in called or not np.isnan(called).any()):
            passed.append(1 not in called)
    expected = np.mean(passed) if passed else np.nan
    assert d.false_no_finding_rate(decisions, labels) == pytest.approx(expected, nan_ok=True)


def test_false_no_finding_rate_of_a_class_no_finding():
    # The columns are No Finding, Effusion, Mass. Of the three ill images the first is passed as healthy.
    labels = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [np.nan] * 3])
    decisions = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0]], dtype=float)
    assert d.false_no_finding_rate(decisions, labels, no_finding=0) == pytest.approx(1 / 3)
    assert np.isnan(d.false_no_finding_rate(decisions[3:], labels[3:], no_finding=0))
