"""Systems over seeds: both sources of variance, and none claimed that is unknown."""

import math

import numpy as np
import pytest
from scipy import stats
from simulation import Design, by_bootstrap, by_delong, by_systems, coverage

from cxrbench.errors import CxrbenchError
from cxrbench.statistics.bootstrap import Estimate
from cxrbench.statistics.systems import combine_seeds, compare_systems, group_systems


def seeds_of(values, test=0.01, own=0.0, start=0, size=2000):
    """Estimates whose replicates share a test effect of deviation ``test`` and have their ``own``."""
    shared = test * np.random.default_rng(99).normal(size=size)
    rng = np.random.default_rng(start)
    return [Estimate(v, v + shared + own * rng.normal(size=size), "x", ("a",)) for v in values]


def test_the_interval_of_a_mean_is_the_formula():
    seeds = seeds_of([0.80, 0.82, 0.84])
    combined = combine_seeds(seeds)
    test_variance = seeds[0].replicates.var(ddof=1)
    of_seeds = 0.02**2 / 3
    variance = of_seeds + test_variance
    freedom = variance**2 / (of_seeds**2 / 2)
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert combined.value == pytest.approx(0.82)
    assert (combined.interval.low, combined.interval.high) == pytest.approx((0.82 - reach, 0.82 + reach))
    assert combined.seed_deviation == pytest.approx(0.02)
    assert combined.test_deviation == pytest.approx(math.sqrt(test_variance))
    assert combined.seed_variance_known


def test_the_difference_has_no_test_variance_that_both_share():
    a, b = seeds_of([0.80, 0.82, 0.84]), seeds_of([0.70, 0.71])
    difference = compare_systems(a, b)
    parts = [0.02**2 / 3, 0.00005 / 2]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 1)
    # Welch's test of the seeds' values, since the test effect is the same for all.
    welch = stats.ttest_ind([0.80, 0.82, 0.84], [0.70, 0.71], equal_var=False)
    assert difference.value == pytest.approx(0.115)
    assert difference.with_seeds
    assert difference.p == pytest.approx(welch.pvalue, rel=1e-6)
    reach = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert difference.interval.high == pytest.approx(0.115 + reach, rel=1e-6)


def test_equal_seeds_leave_at_least_the_variance_of_test_sampling():
    seeds = seeds_of([0.8, 0.8, 0.8], own=0.02)
    combined = combine_seeds(seeds)
    assert combined.interval.high - combined.value > 1.96 * combined.test_deviation


def test_one_seed_is_told_and_never_better():
    lone, others = seeds_of([0.9]), seeds_of([0.5, 0.51])
    combined = combine_seeds(lone)
    assert not combined.seed_variance_known
    assert math.isnan(combined.seed_deviation)
    assert combined.interval == lone[0].interval()
    difference = compare_systems(lone, others)
    assert difference.value == pytest.approx(0.395)
    assert difference.interval.method == "percentile"
    assert math.isnan(difference.p)
    assert not difference.with_seeds
    assert math.isnan(compare_systems(others, lone).p)


def test_groups_of_systems_place_those_of_several_seeds():
    systems = [seeds_of([0.9]), seeds_of([0.70, 0.701, 0.699]), seeds_of([0.80, 0.801, 0.799])]
    assert group_systems(systems) == [None, 2, 1]
    assert group_systems([*systems, seeds_of([0.8, 0.8005])])[-1] == 1


def test_undefined_replicates_in_many_leave_no_interval():
    seeds = seeds_of([0.8, 0.81])
    seeds[0].replicates[:400] = math.nan
    combined = combine_seeds(seeds)
    assert math.isnan(combined.interval.low)
    assert combined.interval.undefined == 400
    assert math.isnan(compare_systems(seeds, seeds_of([0.7, 0.71])).p)


def test_seeds_on_other_resamples_are_refused():
    with pytest.raises(CxrbenchError, match="different resamples"):
        combine_seeds([*seeds_of([0.8]), *seeds_of([0.8], size=10)])


@pytest.mark.slow
def test_intervals_cover_in_a_few_simulated_studies():
    """As ``tests/slow/test_coverage.py``, with bounds that 100 studies allow."""
    design = Design(0.8, 200, 2.0, 80, replicates=200)
    for shares in coverage(design, [by_bootstrap, by_delong], 100):
        assert min(shares) >= 0.86
    seeds = Design(0.8, 200, 2.0, 80, seeds=4, seed_deviation=0.15, replicates=100)
    assert min(coverage(seeds, [by_systems], 100)[0]) >= 0.86
    # Half the noise would be half an interval: the bounds can fail.
    ((alone, _),) = coverage(seeds, [by_bootstrap], 100)
    assert alone < 0.9
