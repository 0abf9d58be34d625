"""Ranking statistics equal scikit-learn's on scores with ties and unknown labels."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from cxrbench.statistics import ranking

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 4))


def tables(labels):
    """Scores that often tie, and labels drawn from ``labels``."""
    scores = st.sampled_from(np.linspace(-1, 1, 7).tolist())
    return SHAPES.flatmap(
        lambda shape: st.tuples(
            arrays(float, shape, elements=scores, fill=st.nothing()),
            arrays(float, shape, elements=st.sampled_from(labels), fill=st.nothing()),
        )
    )


WITH_UNKNOWN = tables([0.0, 1.0, np.nan])


def oracle(function, scores, labels, defined):
    known = ~np.isnan(labels)
    return function(labels[known], scores[known]) if defined(labels[known]) else np.nan


@given(WITH_UNKNOWN)
@settings(deadline=None)
def test_auc_equals_sklearn(table):
    scores, labels = table
    expected = [
        oracle(metrics.roc_auc_score, s, y, lambda y: len(set(y)) == 2)
        for s, y in zip(scores.T, labels.T, strict=True)
    ]
    np.testing.assert_allclose(ranking.auc(scores, labels), expected, rtol=1e-12)


@given(WITH_UNKNOWN)
@settings(deadline=None)
def test_average_precision_equals_sklearn(table):
    scores, labels = table
    expected = [
        oracle(metrics.average_precision_score, s, y, lambda y: 1 in y)
        for s, y in zip(scores.T, labels.T, strict=True)
    ]
    np.testing.assert_allclose(ranking.average_precision(scores, labels), expected, rtol=1e-12)


@given(WITH_UNKNOWN)
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_roc_curve_equals_sklearn(table):
    scores, labels = (column[:, 0] for column in table)
    known = ~np.isnan(labels)
    if not known.any():
        expected = [np.nan], [np.nan], [np.inf]
    else:
        # With one label only, scikit-learn needs to be told which is the positive one.
        expected = metrics.roc_curve(labels[known], scores[known], pos_label=1, drop_intermediate=False)
    for ours, theirs in zip(ranking.roc_curve(scores, labels), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(tables([0.0, 1.0]))
@settings(deadline=None)
def test_label_ranking_average_precision_equals_sklearn(table):
    scores, labels = table
    # An added class that always comes last and is never positive makes one class acceptable to scikit-learn.
    scores = np.column_stack([scores, np.full(len(scores), -2.0)])
    labels = np.column_stack([labels, np.zeros(len(labels))])
    assert ranking.label_ranking_average_precision(scores, labels) == pytest.approx(
        metrics.label_ranking_average_precision_score(labels, scores), rel=1e-12
    )


def test_label_ranking_leaves_out_images_with_unknown_labels():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.1], [0.5, 0.4, 0.3]])
    labels = np.array([[0, 0, 1], [np.nan, 1, 0], [0, 0, 0]])
    # The first image ranks its positive second (1/2); the third has none and counts 1.
    assert ranking.label_ranking_average_precision(scores, labels) == pytest.approx(0.75)
    assert np.isnan(ranking.label_ranking_average_precision(scores[1:2], labels[1:2]))


def test_a_score_that_is_not_finite_makes_its_column_undefined():
    scores = np.array([[0.1, np.nan], [0.9, 0.2], [0.4, 0.8], [np.nan, 0.5]])
    labels = np.array([[0, 0], [1, 0], [0, 1], [np.nan, 1]])
    np.testing.assert_array_equal(ranking.auc(scores, labels), [1.0, np.nan])
    np.testing.assert_array_equal(ranking.average_precision(scores, labels), [1.0, np.nan])
    assert np.isnan(ranking.label_ranking_average_precision(scores, labels))


def test_no_images():
    nothing = np.empty((0, 2))
    assert np.isnan(ranking.auc(nothing, nothing)).all()
    assert np.isnan(ranking.average_precision(nothing, nothing)).all()


def test_float32_scores_rank_as_they_are():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(500, 3)).astype(np.float32)
    labels = (rng.random((500, 3)) < 0.2).astype(np.float32)
    expected = [metrics.roc_auc_score(y, s) for s, y in zip(scores.T, labels.T, strict=True)]
    np.testing.assert_allclose(ranking.auc(scores, labels), expected, rtol=1e-12)
    assert ranking.auc(scores, labels).dtype == np.float64


@given(WITH_UNKNOWN, st.sampled_from([0.05, 0.1, 1 / 3, 0.5, 0.9]))
@settings(deadline=None)
def test_partial_auc_equals_sklearn(table, max_fpr):
    scores, labels = table
    expected = [
        oracle(partial(metrics.roc_auc_score, max_fpr=max_fpr), s, y, lambda y: len(set(y)) == 2)
        for s, y in zip(scores.T, labels.T, strict=True)
    ]
    np.testing.assert_allclose(ranking.partial_auc(scores, labels, max_fpr), expected, rtol=1e-10)


@given(WITH_UNKNOWN)
@settings(deadline=None)
def test_partial_auc_up_to_one_is_the_auc(table):
    np.testing.assert_allclose(ranking.partial_auc(*table, 1.0), ranking.auc(*table), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("max_fpr", [0.0, 1.1])
def test_partial_auc_refuses_a_part_that_is_none(max_fpr):
    with pytest.raises(ValueError, match="max_fpr"):
        ranking.partial_auc(np.zeros((2, 1)), np.zeros((2, 1)), max_fpr)


@given(WITH_UNKNOWN, st.sampled_from([0.0, 0.5, 0.8, 1.0]))
@settings(deadline=None)
def test_points_of_the_roc_curve_equal_the_loop(table, least):
    scores, labels = table
    sensitivity = ranking.sensitivity_at_specificity(scores, labels, least)
    specificity = ranking.specificity_at_sensitivity(scores, labels, least)
    for c, (s, y) in enumerate(zip(scores.T, labels.T, strict=True)):
        if not ((y == 1).any() and (y == 0).any()):
            assert np.isnan([sensitivity[c], specificity[c]]).all()
            continue
        points = [
            ((s >= t)[y == 1].mean(), (s < t)[y == 0].mean()) for t in [*np.unique(s[~np.isnan(y)]), np.inf]
        ]
        assert sensitivity[c] == max(tpr for tpr, tnr in points if tnr >= least)
        assert specificity[c] == max(tnr for tpr, tnr in points if tpr >= least)


@given(tables([0.0, 1.0]))
@settings(deadline=None)
def test_coverage_error_equals_sklearn(table):
    scores, labels = table
    scores = np.column_stack([scores, np.full(len(scores), -2.0)])
    labels = np.column_stack([labels, np.zeros(len(labels))])
    assert ranking.coverage_error(scores, labels) == pytest.approx(
        metrics.coverage_error(labels, scores), rel=1e-12
    )


def test_coverage_error_leaves_out_images_with_unknown_labels():
    scores = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.1], [0.5, 0.4, 0.3]])
    labels = np.array([[0, 0, 1], [np.nan, 1, 0], [1, 0, 1]])
    assert ranking.coverage_error(scores, labels) == 2.5
    assert np.isnan(ranking.coverage_error(scores[1:2], labels[1:2]))
    scores[0, 0] = np.nan
    assert np.isnan(ranking.coverage_error(scores, labels))


@given(WITH_UNKNOWN)
@settings(deadline=None)
def test_precision_recall_curve_equals_sklearn(table):
    scores, labels = (column[:, 0] for column in table)
    known = ~np.isnan(labels)
    precision, recall, thresholds = ranking.precision_recall_curve(scores, labels)
    assert (precision[0], thresholds[0]) == (1, np.inf)
    if not (labels == 1).any():
        assert np.isnan(recall).all()
        return
    theirs = metrics.precision_recall_curve(labels[known], scores[known])
    np.testing.assert_allclose(precision, theirs[0][::-1], rtol=1e-12)
    np.testing.assert_allclose(recall, theirs[1][::-1], rtol=1e-12)
    np.testing.assert_array_equal(thresholds[1:], theirs[2][::-1])
    area = (np.diff(recall) * precision[1:]).sum()
    assert area == pytest.approx(ranking.average_precision(scores[:, None], labels[:, None])[0])


@given(tables([0.0, 1.0]))
@settings(deadline=None)
def test_label_ranking_loss_equals_sklearn(table):
    scores, labels = table
    # An added class that always comes last and is never positive makes one class acceptable to scikit-learn.
    scores = np.column_stack([scores, np.full(len(scores), -2.0)])
    labels = np.column_stack([labels, np.zeros(len(labels))])
    assert ranking.label_ranking_loss(scores, labels) == pytest.approx(
        metrics.label_ranking_loss(labels, scores), abs=1e-12
    )


def test_label_ranking_loss_leaves_out_images_with_unknown_labels():
    scores, labels = np.array([[0.9, 0.1, 0.5], [0.2, 0.3, 0.1]]), np.array([[0, 0, 1], [np.nan, 1, 0]])
    assert ranking.label_ranking_loss(scores, labels) == 0.5
    assert np.isnan(ranking.label_ranking_loss(scores[1:], labels[1:]))
