"""Intervals: percentiles of what is defined, normal ones on either scale."""

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from cxrbench.statistics.intervals import logit_interval, normal_interval, percentile_interval


def test_percentiles_leave_out_and_count_what_is_undefined():
    replicates = np.append(np.linspace(0, 1, 101), np.full(5, np.nan))
    interval = percentile_interval(replicates, 0.9)
    assert (interval.low, interval.high) == pytest.approx((0.05, 0.95))
    assert (interval.level, interval.replicates, interval.undefined) == (0.9, 106, 5)


def test_of_a_mean_of_few_it_is_students_interval():
    values = np.random.default_rng(0).normal(size=20)
    # What bootstrap means are, were there endlessly many: they spread by n and not by n - 1.
    replicates = norm.ppf((np.arange(200_000) + 0.5) / 200_000, values.mean(), values.std() / np.sqrt(20))
    interval = percentile_interval(replicates, 0.95, units=20)
    expected = t.interval(0.95, 19, values.mean(), values.std(ddof=1) / np.sqrt(20))
    assert (interval.low, interval.high) == pytest.approx(expected, rel=1e-3)
    wide = interval.high - interval.low
    plain = [percentile_interval(replicates, 0.95, units) for units in (1e6, math.inf)]
    assert plain[0].low == pytest.approx(plain[1].low, abs=1e-5)
    assert plain[1].high - plain[1].low < 0.95 * wide
    assert math.isnan(percentile_interval(replicates, units=1).low)


@pytest.mark.parametrize("replicates", [[np.nan] * 10, [0.5] * 8 + [np.nan] * 2, []])
def test_no_interval_where_too_much_is_undefined(replicates):
    interval = percentile_interval(np.array(replicates))
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_the_normal_interval_is_what_tables_say():
    interval = normal_interval(0.7, 0.01**2)
    assert (interval.low, interval.high) == pytest.approx((0.7 - 0.0195996, 0.7 + 0.0195996))


def test_the_logit_interval_is_the_normal_one_of_the_log_odds():
    interval = logit_interval(0.9, 0.03**2)
    centre, error = math.log(9), 0.03 / 0.09
    ends = [math.log(p / (1 - p)) for p in (interval.low, interval.high)]
    assert ends == pytest.approx([centre - 1.959964 * error, centre + 1.959964 * error])


def test_no_logit_interval_at_the_ends_of_the_scale():
    assert math.isnan(logit_interval(1.0, 0.0).low)
