"""The precision-constrained search against a loop over scikit-learn's metrics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import f1_at, precision_at

from cxrbench.errors import UsageError
from cxrbench.thresholds.precision_f1 import PrecisionF1

STEPS = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85]
SCORES = st.sampled_from([0.0, 0.02, 0.1, 0.12, 0.15, 0.3, 0.42, 0.5, 0.65, 0.7, 0.85, 0.9, 1.0])
TABLES = st.tuples(st.integers(1, 20), st.integers(1, 2)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=SCORES, fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 0.0, 1.0, np.nan]), fill=st.nothing()),
    )
)


def search(p, y, grid, floor):
    """As the source tells it: upwards, a candidate is stored when its F1 is the best so far."""
    best, threshold = 0.0, None
    for t, f1, precision in zip(grid, f1_at(grid, y, p), precision_at(grid, y, p), strict=True):
        if precision >= floor and f1 > best + 1e-12:
            best, threshold = f1, t
    return threshold


@given(TABLES, st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.sampled_from(["steps", "scores"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_fit_equals_the_loop(table, floor, grid, calibrated):
    probabilities, labels = table
    points = PrecisionF1(min_precision=floor, grid=grid).fit(probabilities, labels, calibrated=calibrated)
    assert len(points) == labels.shape[1]
    for c, point in enumerate(points):
        known = ~np.isnan(labels[:, c])
        p, y = probabilities[known, c], labels[known, c]
        if 1 not in y:
            assert np.isnan(point.threshold)
            assert not point.feasible
            assert "no positive" in point.reason
            continue
        tried = STEPS if grid == "steps" else np.unique(p)
        expected = search(p, y, tried, floor)
        assert point.feasible == (expected is not None)
        if expected is None and calibrated:
            expected = search(p, y, tried, 0.0)
            # No step finds a positive: all F1 are 0, and the lowest step is the best of them.
            expected = tried[0] if expected is None else expected
        assert point.threshold == (0.5 if expected is None else expected)
        assert bool(point.reason) == (not point.feasible)


def skewed(n=2000):
    rng = np.random.default_rng(5)
    labels = (rng.random((n, 1)) < 0.02).astype(float)
    return np.clip(0.02 + 0.03 * labels + 0.02 * rng.random((n, 1)), 0, 1), labels


def test_auto_searches_steps_on_raw_and_scores_on_calibrated_probabilities():
    probabilities, labels = skewed()
    (raw,) = PrecisionF1().fit(probabilities, labels, calibrated=False)
    (calibrated,) = PrecisionF1().fit(probabilities, labels, calibrated=True)
    # The scores separate, but far below the first step.
    assert (raw.threshold, raw.feasible) == (0.5, False)
    assert calibrated.threshold == probabilities[labels == 1].min()
    assert calibrated.feasible


def test_auto_falls_back_on_half_or_on_the_best_f1_without_the_floor():
    probabilities = np.array([[0.9], [0.8], [0.7], [0.6], [0.3]])
    labels = np.array([[0.0], [0.0], [0.0], [1.0], [0.0]])
    strategy = PrecisionF1(min_precision=0.4)
    (raw,) = strategy.fit(probabilities, labels, calibrated=False)
    (calibrated,) = strategy.fit(probabilities, labels, calibrated=True)
    assert (raw.threshold, raw.feasible) == (0.5, False)
    assert (calibrated.threshold, calibrated.feasible) == (0.6, False)


def test_a_precision_at_the_floor_is_enough():
    probabilities = np.linspace(0.9, 0.8, 10)[:, None]
    labels = np.array([[1.0]] * 3 + [[0.0]] * 7)[::-1]
    (point,) = PrecisionF1(min_precision=0.3).fit(probabilities, labels, calibrated=False)
    # All ten are called up to .80, three of them rightly: precision .3; the lowest such step wins.
    assert (point.threshold, point.feasible) == (0.1, True)


@pytest.mark.parametrize(
    ("options", "last"),
    [({}, 0.85), ({"low": 0.1, "high": 0.3, "step": 0.1}, 0.3), ({"low": 0.2, "high": 0.29}, 0.25)],
)
def test_the_last_step_is_within_high(options, last):
    # One negative just below each hundredth: the higher the threshold the better the F1.
    probabilities = np.append(np.arange(100) / 100 - 0.005, 1.0)[:, None]
    labels = np.append(np.zeros(100), 1.0)[:, None]
    (point,) = PrecisionF1(min_precision=0.0, **options).fit(probabilities, labels, calibrated=False)
    assert point.threshold == last


def test_a_threshold_that_finds_no_positive_is_no_candidate_even_without_a_floor():
    probabilities, labels = np.array([[0.6], [0.05]]), np.array([[0.0], [1.0]])
    (point,) = PrecisionF1(min_precision=0.0).fit(probabilities, labels, calibrated=False)
    assert (point.threshold, point.feasible) == (0.5, False)


def test_a_score_that_is_nan_leaves_no_threshold():
    (point,) = PrecisionF1().fit(np.array([[np.nan], [0.5]]), np.array([[1.0], [1.0]]), calibrated=True)
    assert np.isnan(point.threshold)


def test_low_above_high_is_refused():
    with pytest.raises(UsageError, match=r"low=0\.9 is above high=0\.85"):
        PrecisionF1(low=0.9)
    assert PrecisionF1(low=0.85).low == 0.85
