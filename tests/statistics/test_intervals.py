"""Intervals: percentiles of what is defined, normal ones on either scale."""

import math

import numpy as np
import pytest

from cxrbench.statistics.intervals import logit_interval, normal_interval, percentile_interval


def test_percentiles_leave_out_and_count_what_is_undefined():
    replicates = np.append(np.linspace(0, 1, 101), np.full(5, np.nan))
    interval = percentile_interval(replicates, 0.9)
    assert (interval.low, interval.high) == pytest.approx((0.05, 0.95))
    assert (interval.level, interval.replicates, interval.undefined) == (0.9, 106, 5)


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
