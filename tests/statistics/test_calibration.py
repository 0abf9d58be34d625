"""Brier score, its parts and calibration errors against scikit-learn and loops over bins."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss

from cxrbench.statistics.calibration import (
    adaptive_calibration_error,
    bin_cells,
    brier,
    brier_parts,
    expected_calibration_error,
    maximum_calibration_error,
    reliability,
)

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


@given(TABLES, st.integers(1, 20), st.sampled_from(["width", "mass"]))
@settings(deadline=None)
def test_the_parts_of_the_brier_score_add_up(table, bins, binning):
    parts = brier_parts(*table, bins, binning)
    total = parts.reliability - parts.generalised_resolution + parts.uncertainty
    np.testing.assert_allclose(total, brier(*table), rtol=1e-10, atol=1e-12)
    for part in (parts.reliability, parts.resolution, parts.within_variance):
        assert not (part < 0).any()


def test_the_parts_of_the_brier_score_by_hand():
    probabilities = np.array([0.1, 0.3, 0.8, 0.8])[:, None]
    labels = np.array([0.0, 1, 1, 0])[:, None]
    parts = brier_parts(probabilities, labels, bins=2)
    # Bins: mean 0.2, rate 0.5, and mean 0.8, rate 0.5.
    assert parts.reliability.item() == pytest.approx(0.3**2)
    assert parts.resolution.item() == 0
    assert parts.uncertainty.item() == 0.25
    assert parts.within_variance.item() == pytest.approx(2 * 0.1**2 / 4)
    assert parts.within_covariance.item() == pytest.approx(2 * 2 * 0.5 * 0.1 / 4)


def test_probabilities_that_are_equal_in_their_bins_have_murphys_three_parts():
    rng = np.random.default_rng(0)
    probabilities = rng.choice([0.1, 0.5, 0.9], (500, 2))
    labels = (rng.random((500, 2)) < probabilities).astype(float)
    parts = brier_parts(probabilities, labels, bins=3)
    np.testing.assert_allclose(parts.within_variance, 0, atol=1e-15)
    np.testing.assert_allclose(parts.within_covariance, 0, atol=1e-15)
    for c in range(2):
        rates = {p: labels[probabilities[:, c] == p, c].mean() for p in (0.1, 0.5, 0.9)}
        reliability = np.mean([(p - rates[p]) ** 2 for p in probabilities[:, c]])
        assert parts.reliability[c] == pytest.approx(reliability)


@given(TABLES, st.integers(1, 8))
@settings(deadline=None)
def test_errors_over_bins_of_equal_mass_equal_the_loop(table, bins):
    probabilities, labels = table
    adaptive = adaptive_calibration_error(probabilities, labels, bins)
    largest = maximum_calibration_error(probabilities, labels, bins, "mass")
    for c in range(labels.shape[1]):
        known = ~np.isnan(labels[:, c])
        p, y = probabilities[known, c], labels[known, c]
        place = np.array([int((p < one).sum()) * bins // len(p) for one in p])
        gaps = [(p[place == k].mean() - y[place == k].mean(), (place == k).mean()) for k in set(place)]
        expected = (sum(abs(g) * w for g, w in gaps), max(abs(g) for g, _ in gaps)) if gaps else (np.nan,) * 2
        np.testing.assert_allclose((adaptive[c], largest[c]), expected, rtol=1e-9, atol=1e-12)


def test_bins_of_equal_mass_hold_equally_many_and_part_no_ties():
    p = np.array([0.01, 0.02, 0.03, 0.04, 0.5, 0.5, 0.5, 0.5])[:, None]
    cells = bin_cells(p, np.ones_like(p, bool), 4, "mass")
    np.testing.assert_array_equal(cells, [0, 0, 1, 1, 2, 2, 2, 2])


def test_the_largest_gap_over_bins_of_equal_width():
    probabilities = np.array([[0.8], [0.8], [0.8], [0.8], [0.1], [0.1]])
    labels = np.array([[1], [1], [0], [0], [0], [0]], dtype=float)
    assert maximum_calibration_error(probabilities, labels, bins=2)[0] == pytest.approx(0.3)
    assert np.isnan(maximum_calibration_error(probabilities, np.full((6, 1), np.nan)))[0]


@pytest.mark.parametrize("binning", ["width", "mass"])
def test_reliability_has_the_counts_means_and_wilson_bands_of_its_bins(binning):
    rng = np.random.default_rng(4)
    probabilities = rng.beta(0.5, 4, (600, 2))
    labels = (rng.random(probabilities.shape) < probabilities).astype(float)
    labels[rng.random(labels.shape) < 0.1] = np.nan
    shown = reliability(probabilities, labels, 10, binning, level=0.9)
    for column in range(2):
        known = ~np.isnan(labels[:, column])
        p, y = probabilities[known, column], labels[known, column]
        assert shown.count[column].sum() == known.sum()
        places = np.ceil(p * 10) - 1 if binning == "width" else p.argsort().argsort() * 10 // len(p)
        for place in range(10):
            inside = places == place
            if not inside.any():
                assert np.isnan([shown.rate[column, place], shown.low[column, place]]).all()
                continue
            wilson = binomtest(int(y[inside].sum()), int(inside.sum())).proportion_ci(0.9, "wilson")
            found = [
                getattr(shown, name)[column, place]
                for name in ("count", "probability", "rate", "low", "high")
            ]
            expected = [inside.sum(), p[inside].mean(), y[inside].mean(), wilson.low, wilson.high]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
