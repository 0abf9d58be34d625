"""Figures of single-label tasks equal scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from cxrbench.statistics import single_label
from cxrbench.statistics.averages import macro
from cxrbench.statistics.ranking import auc

CLASSES = 3
ROWS = st.lists(st.tuples(st.integers(-1, CLASSES - 1), st.integers(0, CLASSES - 1)), min_size=1, max_size=30)


def one_hot(places):
    """Rows with a single 1; unknown where the place is -1."""
    return np.where(places[:, None] < 0, np.nan, np.arange(CLASSES) == places[:, None]).astype(float)


@given(ROWS)
@settings(deadline=None)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_figures_equal_sklearn(rows):
    truth, called = np.array(rows).T
    decisions, labels = one_hot(called), one_hot(truth)
    matrix = single_label.confusion_matrix(decisions, labels)
    found = (
        single_label.accuracy(matrix),
        single_label.macro_f1(decisions, labels),
        single_label.cohen_kappa(matrix),
    )
    truth, called = truth[truth >= 0], called[truth >= 0]
    if not len(truth):
        assert not matrix.any()
        assert np.isnan(found).all()
        return
    everything = list(range(CLASSES))
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(truth, called, labels=everything))
    expected = (
        metrics.accuracy_score(truth, called),
        # Over the classes that an image has; scikit-learn's own choice adds those that are only called.
        metrics.f1_score(truth, called, labels=sorted(set(truth)), average="macro"),
        metrics.cohen_kappa_score(truth, called, labels=everything),
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_auc_is_one_against_the_rest():
    rng = np.random.default_rng(3)
    truth, scores = rng.integers(0, CLASSES, 200), rng.dirichlet(np.ones(CLASSES), 200)
    expected = metrics.roc_auc_score(truth, scores, multi_class="ovr")
    assert macro(auc(scores, one_hot(truth))) == pytest.approx(expected, rel=1e-12)
