"""Youden's threshold against scikit-learn's ROC curve and a loop in whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_curve

from cxrbench.thresholds.youden import Youden

TABLES = st.tuples(st.integers(1, 40), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=st.sampled_from(np.linspace(0, 1, 9).tolist()), fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 1.0, np.nan]), fill=st.nothing()),
    )
)


@given(TABLES)
@settings(deadline=None)
def test_threshold_is_the_highest_score_of_largest_j(table):
    probabilities, labels = table
    points = Youden().fit(probabilities, labels, calibrated=False)
    assert len(points) == labels.shape[1]
    for c, point in enumerate(points):
        known = ~np.isnan(labels[:, c])
        p, y = probabilities[known, c], labels[known, c] == 1
        if y.all() or not y.any():
            assert (point.threshold, point.feasible) == (0.5, False)
            continue
        j = {t: (p[y] >= t).sum() * (~y).sum() - (p[~y] >= t).sum() * y.sum() for t in p}
        assert point.threshold == max(t for t in j if j[t] == max(j.values()))
        assert point.feasible
        assert bool(point.reason) == (max(j.values()) <= 0)
        fpr, tpr, _ = roc_curve(y, p)
        assert j[point.threshold] / (y.sum() * (~y).sum()) == pytest.approx((tpr - fpr).max(), abs=1e-12)


def test_of_equal_j_the_highest_threshold_wins():
    # J is 1/2 at .8 and at .4, 0 between and below.
    probabilities, labels = np.array([[0.8], [0.6], [0.4], [0.2]]), np.array([[1.0], [0.0], [1.0], [0.0]])
    (point,) = Youden().fit(probabilities, labels, calibrated=False)
    assert point.threshold == 0.8


def test_each_way_of_being_unfit_is_named():
    labels = np.array([[0, 1, np.nan], [0, 1, np.nan]])
    points = Youden().fit(np.full((2, 3), 0.3), labels, calibrated=False)
    assert [p.threshold for p in points] == [0.5] * 3
    assert [p.reason for p in points] == [
        "no positive to fit on: 0.5",
        "no negative to fit on: 0.5",
        "no known label to fit on: 0.5",
    ]


def test_scores_that_rank_backwards_never_give_an_infinite_threshold():
    probabilities, labels = np.array([[0.1], [0.2], [0.9]]), np.array([[1.0], [1.0], [0.0]])
    (point,) = Youden().fit(probabilities, labels, calibrated=False)
    assert point.threshold == 0.1
    assert "J = 0" in point.reason


def test_no_rows():
    (point,) = Youden().fit(np.empty((0, 1)), np.empty((0, 1)), calibrated=False)
    assert (point.threshold, point.feasible) == (0.5, False)
