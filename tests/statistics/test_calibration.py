"""Brier score and calibration error against scikit-learn and a loop over bins."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import brier_score_loss

from cxrbench.statistics.calibration import brier, expected_calibration_error

TABLES = st.tuples(st.integers(1, 40), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=st.floats(0, 1), fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 1.0, np.nan]), fill=st.nothing()),
    )
)


def loop_ece(p, y, bins):
    """Guo et al. 2017 as written, with 0 in the first bin."""
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for k, (low, high) in enumerate(pairwise(edges)):
        inside = ((p > low) | ((k == 0) & (p == 0))) & (p <= high)
        if inside.any():
            total += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    return total


@given(TABLES, st.integers(1, 20))
@settings(deadline=None)
def test_expected_calibration_error_equals_the_loop(table, bins):
    probabilities, labels = table
    ours = expected_calibration_error(probabilities, labels, bins)
    for c in range(labels.shape[1]):
        known = ~np.isnan(labels[:, c])
        expected = loop_ece(probabilities[known, c], labels[known, c], bins) if known.any() else np.nan
        np.testing.assert_allclose(ours[c], expected, rtol=1e-9, atol=1e-12)


@given(TABLES)
@settings(deadline=None)
def test_brier_equals_sklearn(table):
    probabilities, labels = table
    for c, ours in enumerate(brier(probabilities, labels)):
        known = ~np.isnan(labels[:, c])
        expected = (
            brier_score_loss(labels[known, c], probabilities[known, c], pos_label=1)
            if known.any()
            else np.nan
        )
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_known_values():
    probabilities = np.array([[0.8], [0.8], [0.8], [0.8], [0.1], [0.1]])
    labels = np.array([[1], [1], [0], [0], [0], [0]], dtype=float)
    # Bins of width 0.5: 4/6 × |0.8 − 0.5| + 2/6 × |0.1 − 0|.
    assert expected_calibration_error(probabilities, labels, bins=2)[0] == pytest.approx(0.7 / 3)
    assert brier(probabilities, labels)[0] == pytest.approx((2 * 0.04 + 2 * 0.64 + 2 * 0.01) / 6)


def test_an_edge_belongs_to_the_bin_below():
    probabilities, labels = np.array([[0.0], [0.5], [0.25]]), np.array([[1.0], [1.0], [0.0]])
    # One bin holds all three: |0.75 − 2| / 3.
    assert expected_calibration_error(probabilities, labels, bins=2)[0] == pytest.approx(1.25 / 3)


def test_a_probability_that_is_nan_makes_its_column_undefined():
    probabilities = np.array([[0.5, np.nan], [0.5, 0.5]])
    labels = np.array([[1.0, 1.0], [0.0, 0.0]])
    np.testing.assert_array_equal(brier(probabilities, labels), [0.25, np.nan])
    np.testing.assert_array_equal(expected_calibration_error(probabilities, labels), [0.0, np.nan])
