"""Kappa and disagreement: hand-computed cases, a published one, and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from cxrbench.statistics.agreement import cohen_kappa, disagreement, fleiss_kappa


def test_two_raters_by_hand():
    # 20 times both say yes, 15 both no, 5 only the first, 10 only the second: (0.7 - 0.5) / (1 - 0.5).
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    ratings = np.stack([first, second])
    assert cohen_kappa(ratings)[0, 1] == pytest.approx(0.4)
    np.testing.assert_allclose(disagreement(ratings), [[0, 0.3], [0.3, 0]])
    assert np.diag(cohen_kappa(ratings)) == pytest.approx(1)


def test_many_raters_as_fleiss_has_it():
    # Ten subjects, fourteen raters, five categories: the textbook's table; kappa 0.210.
    table = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    ratings = np.stack([np.repeat(np.arange(5), row) for row in table], axis=1)
    assert fleiss_kappa(ratings) == pytest.approx(0.210, abs=5e-4)
    # Who gave which rating of a subject does not matter.
    shuffled = np.random.default_rng(0).permuted(ratings, axis=0)
    assert fleiss_kappa(shuffled) == pytest.approx(fleiss_kappa(ratings))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 60), st.integers(2, 4))
def test_cohen_agrees_with_scikit_learn(seed, raters, images, categories):
    ratings = np.random.default_rng(seed).integers(0, categories, (raters, images))
    ours = cohen_kappa(ratings)
    for a in range(raters):
        for b in range(a):
            if len(np.unique(ratings[[a, b]])) > 1:
                expected = cohen_kappa_score(ratings[a], ratings[b])
                assert ours[a, b] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(ours[a, b])


def test_what_is_undefined_is_nan():
    same = np.zeros((3, 5), int)
    assert np.isnan(cohen_kappa(same)).all()
    assert np.isnan(fleiss_kappa(same))
    assert np.isnan(fleiss_kappa(np.array([[0, 1, 1]])))
    nothing = np.empty((2, 0), int)
    assert np.isnan(disagreement(nothing)).all()
    assert np.isnan(cohen_kappa(nothing)).all()
    assert np.isnan(fleiss_kappa(nothing))
