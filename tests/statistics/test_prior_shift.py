"""Prior-shift correction where the shift, and so the truth, is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from sklearn.metrics import log_loss

from cxrbench.statistics.calibration import expected_calibration_error
from cxrbench.statistics.prior_shift import (
    estimate_prevalence,
    estimate_priors,
    with_prevalence,
    with_priors,
)

SOURCE, TARGET = np.array([0.05, 0.3, 0.1]), np.array([0.2, 0.1, 0.1])
DISTANCE = 1.5


def population(prevalence, rows=20_000, seed=0):
    """Labels, and probabilities that would be exact if prevalences were ``SOURCE``."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((rows, len(SOURCE))) < prevalence).astype(float)
    scores = rng.normal(size=labels.shape) + DISTANCE * labels
    # The log-odds of two normal distributions of variance 1.
    return expit(logit(SOURCE) + DISTANCE * scores - DISTANCE**2 / 2), labels


def test_estimates_prevalences_from_scores_alone():
    probabilities, labels = population(TARGET)
    estimated = estimate_prevalence(probabilities, SOURCE)
    np.testing.assert_allclose(estimated, labels.mean(axis=0), atol=0.012)
    # Counting calls, or averaging probabilities, stays on the way from source to target.
    assert (np.abs(probabilities.mean(axis=0) - TARGET)[:2] > 0.04).all()


def test_without_a_shift_nothing_much_happens():
    probabilities, _ = population(SOURCE)
    corrected = with_prevalence(probabilities, SOURCE, estimate_prevalence(probabilities, SOURCE))
    np.testing.assert_allclose(corrected, probabilities, atol=0.03)
    np.testing.assert_allclose(with_prevalence(probabilities, SOURCE, SOURCE), probabilities, rtol=1e-12)


@pytest.mark.parametrize("known", [True, False])
def test_corrected_probabilities_are_calibrated_on_the_target(known):
    probabilities, labels = population(TARGET)
    target = TARGET if known else estimate_prevalence(probabilities, SOURCE)
    corrected = with_prevalence(probabilities, SOURCE, target)
    before, after = (expected_calibration_error(p, labels)[:2] for p in (probabilities, corrected))
    assert (after < 0.01).all()
    assert (before > 4 * after).all()
    for column in range(2):
        truth = labels[:, column]
        assert log_loss(truth, corrected[:, column]) < log_loss(truth, probabilities[:, column]) - 0.01


def test_estimates_spread_around_the_truth():
    estimates = np.array(
        [estimate_prevalence(population(TARGET, 2000, seed)[0], SOURCE) for seed in range(200)]
    )
    deviations = estimates.std(axis=0, ddof=1) / np.sqrt(len(estimates))
    assert (np.abs(estimates.mean(axis=0) - TARGET) < 3.5 * deviations).all()


def test_the_order_of_images_within_a_finding_stays():
    probabilities, _ = population(TARGET, 2000)
    corrected = with_prevalence(probabilities, SOURCE, TARGET)
    np.testing.assert_array_equal(corrected.argsort(axis=0), probabilities.argsort(axis=0))


@given(
    st.lists(st.floats(0.001, 0.999), min_size=1, max_size=30),
    st.floats(0.02, 0.98),
)
@settings(deadline=None)
def test_a_finding_is_a_task_of_two_classes(values, source):
    p, both = np.array(values)[:, None], np.array([1 - source, source])
    of_two = estimate_priors(np.hstack([1 - p, p]), both)
    estimated = estimate_prevalence(p, [source])

    # EM stops short of an end of the range that it only creeps to; the likelihood says who is right.
    def likelihood(prevalence):
        return np.log(prevalence * p / source + (1 - prevalence) * (1 - p) / (1 - source)).mean()

    assert likelihood(estimated[0]) >= likelihood(of_two[1]) - 1e-12
    assert likelihood(of_two[1]) >= likelihood(estimated[0]) - 1e-5
    np.testing.assert_allclose(
        with_priors(np.hstack([1 - p, p]), both, [0.25, 0.75])[:, 1:],
        with_prevalence(p, [source], [0.75]),
        rtol=1e-9,
    )


def test_estimates_the_shares_of_several_classes():
    rng = np.random.default_rng(1)
    source, target = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    places = rng.choice(3, 20_000, p=target)
    scores = rng.normal(size=(20_000, 3)) + DISTANCE * np.eye(3)[places]
    probabilities = softmax(np.log(source) + DISTANCE * scores, axis=1)
    estimated = estimate_priors(probabilities, source)
    np.testing.assert_allclose(estimated, target, atol=0.012)
    assert estimated.sum() == pytest.approx(1)
    corrected = with_priors(probabilities, source, estimated)
    np.testing.assert_allclose(corrected.sum(axis=1), 1)
    assert log_loss(places, corrected) < log_loss(places, probabilities) - 0.05


def test_what_has_no_answer_is_nan():
    p = np.array([[0.2, 0.2, np.nan, 0.2], [0.4, 0.4, 0.4, 0.4]])
    source = np.array([0.3, 0.0, 0.3, np.nan])
    assert np.isnan(estimate_prevalence(p, source)).tolist() == [False, True, True, True]
    assert np.isnan(estimate_prevalence(np.empty((0, 1)), [0.3])).all()
    assert np.isnan(estimate_priors(np.empty((0, 2)), [0.5, 0.5])).all()
    assert np.isnan(with_prevalence(p, source, 0.5))[1].tolist() == [False, True, False, True]
    assert np.isnan(with_prevalence(p, source, np.nan)).all()


@pytest.mark.parametrize(("value", "expected"), [(0.1, 0.0), (0.9, 1.0)])
def test_probabilities_all_on_one_side_of_the_source(value, expected):
    assert estimate_prevalence(np.full((5, 1), value), [0.5])[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("spread", [0.02, 0.05])
def test_the_estimate_magnifies_what_is_off_in_the_mean(spread):
    source, off = 0.3, 0.0005
    p = np.random.default_rng(0).normal(size=(20_000, 1))
    p = source + off + spread * (p - p.mean()) / p.std()
    expected = off * source * (1 - source) / spread**2
    assert estimate_prevalence(p, [source])[0] - source == pytest.approx(expected, rel=0.1)
