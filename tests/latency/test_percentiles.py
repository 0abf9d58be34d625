"""Percentiles of latencies: intervals that hold, and MLPerf's rule on how many samples they need."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cxrbench.latency.measure import outliers
from cxrbench.latency.percentiles import percentiles, samples_needed, upper_bound


@pytest.mark.parametrize(("percent", "needed"), [(90, 64), (99, 662)])
def test_as_many_samples_are_needed_as_mlperf_publishes(percent, needed):
    assert samples_needed(percent) == needed


@given(st.integers(2, 900), st.sampled_from([50, 90, 95, 99]))
def test_a_percentile_is_bounded_from_that_many_on(n, percent):
    bound = upper_bound(np.arange(float(n)), percent)
    assert np.isnan(bound) == (n < samples_needed(percent))
    assert not bound < np.percentile(np.arange(float(n)), percent)


def test_a_percentile_with_too_few_samples_is_marked():
    assert [each.supported for each in percentiles(np.arange(100.0))] == [True, True, False, False]


@pytest.mark.parametrize("percent", [90, 95, 99])
def test_the_bound_holds_with_confidence_99_percent(percent):
    rng = np.random.default_rng(1)
    true = stats.lognorm.ppf(percent / 100, 0.3)
    n, rounds = 700, 300
    held = 0
    for _ in range(rounds):
        samples = stats.lognorm.rvs(0.3, size=n, random_state=rng)
        held += upper_bound(samples, percent) >= true
    # Of 300 rounds at least 99 % but for chance.
    assert held >= stats.binom.ppf(1e-4, rounds, 0.99)


def test_values_are_those_of_numpy_and_inside_their_intervals():
    samples = np.random.default_rng(2).gamma(5.0, size=500)
    for each in percentiles(samples):
        assert each.value == np.percentile(samples, each.percent)
        assert each.low <= each.value <= each.high


def autoregressive(rng, n, share=0.8):
    noise, values = rng.normal(size=n), np.empty(n)
    values[0] = noise[0] / np.sqrt(1 - share**2)
    for k in range(1, n):
        values[k] = share * values[k - 1] + noise[k]
    return values


def test_intervals_hold_the_median_of_latencies_that_resemble_their_neighbours():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(100):
        median = percentiles(autoregressive(rng, 600))[0]
        held += median.low <= 0 <= median.high
    # 95 % are meant; taken one by one, samples would give about 60 %.
    assert held >= 80


def test_one_sample_has_no_interval():
    (median, *_) = percentiles(np.array([3.0]))
    assert median.value == 3.0
    assert np.isnan([median.low, median.high]).all()


def test_outliers_are_counted():
    assert outliers(np.array([*np.linspace(1, 2, 40), 9.0, 10.0])) == 2
