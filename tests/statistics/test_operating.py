"""Counts at thresholds and the best F1, against loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import f1_at

from cxrbench.statistics.operating import best_f1
from cxrbench.statistics.sweep import sweep_grid, sweep_positives, sweep_scores

SCORES = st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.3, 0.30000000000000004, 0.65, 1.0])
TABLES = st.tuples(st.integers(1, 30), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=SCORES, fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 1.0, np.nan]), fill=st.nothing()),
    )
)


def counts_at(probabilities, labels, grid):
    swept = sweep_grid(probabilities, labels, grid)
    return swept.tp, swept.fp


@given(TABLES, st.lists(SCORES, min_size=1, max_size=6).map(sorted))
@settings(deadline=None)
def test_counts_at_equals_the_loop(table, grid):
    probabilities, labels = table
    tp, fp = counts_at(probabilities, labels, np.array(grid))
    for k, threshold in enumerate(grid):
        called = probabilities >= threshold
        np.testing.assert_array_equal(tp[k], (called & (labels == 1)).sum(axis=0))
        np.testing.assert_array_equal(fp[k], (called & (labels == 0)).sum(axis=0))


def test_counts_at_compares_float32_scores_exactly():
    probabilities = np.array([[0.1], [0.65]], dtype=np.float32)
    labels = np.ones((2, 1))
    grid = np.array([0.1, 0.65])
    tp, _ = counts_at(probabilities, labels, grid)
    np.testing.assert_array_equal(tp[:, 0], [(probabilities.astype(float) >= t).sum() for t in grid])


def test_counts_at_refuses_a_grid_that_does_not_ascend():
    with pytest.raises(ValueError, match="ascending"):
        counts_at(np.zeros((2, 1)), np.zeros((2, 1)), np.array([0.5, 0.4]))


@given(TABLES)
@settings(deadline=None)
def test_best_f1_equals_the_loop_and_takes_the_lowest_threshold(table):
    probabilities, labels = table
    thresholds, best = best_f1(probabilities, labels)
    for c in range(labels.shape[1]):
        known = ~np.isnan(labels[:, c])
        p, y = probabilities[known, c], labels[known, c]
        if 1 not in y:
            assert np.isnan(thresholds[c])
            assert np.isnan(best[c])
            continue
        scores = np.unique(p)
        tried = dict(zip(scores, f1_at(scores, y, p), strict=True))
        assert best[c] == pytest.approx(max(tried.values()), rel=1e-12)
        assert thresholds[c] == min(t for t, f1 in tried.items() if f1 == pytest.approx(best[c], rel=1e-12))


def test_best_f1_prefers_recall_among_equals():
    probabilities = np.array([[0.9], [0.6], [0.5], [0.4], [0.3]])
    labels = np.array([[1.0], [0.0], [0.0], [1.0], [0.0]])
    # Calling the first one: 2/3; calling four: 4/6.
    thresholds, best = best_f1(probabilities, labels)
    assert (thresholds[0], best[0]) == (0.4, 2 / 3)


def test_best_f1_of_a_column_with_a_nan_is_undefined():
    thresholds, best = best_f1(np.array([[np.nan], [0.5]]), np.array([[1.0], [1.0]]))
    assert np.isnan(thresholds[0])
    assert np.isnan(best[0])


@given(TABLES)
@settings(deadline=None)
def test_the_best_of_what_false_positives_spoil_is_at_a_positives_score_or_the_lowest(table):
    probabilities, labels = table
    every, few = sweep_scores(probabilities, labels), sweep_positives(probabilities, labels)
    np.testing.assert_array_equal(few.positives, every.positives)
    np.testing.assert_array_equal(few.negatives, every.negatives)
    for column in range(labels.shape[1]):
        counts = {
            (threshold, tp, fp)
            for threshold, tp, fp in zip(
                every.thresholds[:, column], every.tp[:, column], every.fp[:, column], strict=True
            )
        }
        rows = zip(few.thresholds[:, column], few.tp[:, column], few.fp[:, column], strict=True)
        assert counts >= {row for row in rows if np.isfinite(row[0])}
        for figure in (
            lambda swept: swept.tp * swept.negatives - swept.fp * swept.positives,
            lambda swept: np.nan_to_num(swept.f1),
        ):
            assert figure(few)[:, column].max() == figure(every)[:, column].max()
