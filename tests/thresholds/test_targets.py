"""Strategies over observed probabilities against a loop that tries each of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import f1_at

from cxrbench.statistics.decisions import confusion, net_benefit
from cxrbench.statistics.ranking import sensitivity_at_specificity, specificity_at_sensitivity
from cxrbench.thresholds.cost import Cost
from cxrbench.thresholds.f1 import F1
from cxrbench.thresholds.prevalence import Prevalence
from cxrbench.thresholds.sensitivity import Sensitivity
from cxrbench.thresholds.specificity import Specificity

TABLES = st.tuples(st.integers(1, 30), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=st.sampled_from(np.linspace(0, 1, 9).tolist()), fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 1.0, np.nan]), fill=st.nothing()),
    )
)
EACH = pytest.mark.parametrize("strategy", [F1(), Sensitivity(), Specificity(), Cost(), Prevalence()])


def fitted(strategy, table):
    """For each column with both labels: the point, its scores, and which of them are positives."""
    probabilities, labels = table
    points = strategy.fit(probabilities, labels, calibrated=False)
    assert len(points) == labels.shape[1]
    for point, p, y in zip(points, probabilities.T, labels.T, strict=True):
        known = ~np.isnan(y)
        if len(set(y[known])) == 2:
            yield point, p[known], y[known] == 1


@EACH
@pytest.mark.parametrize(
    ("label", "lacking"), [(0, "no positive"), (1, "no negative"), (np.nan, "no known label")]
)
def test_a_finding_that_lacks_labels_has_no_threshold(strategy, label, lacking):
    (point,) = strategy.fit(np.array([[0.2], [0.7]]), np.full((2, 1), float(label)), calibrated=True)
    if strategy == F1():
        # F1 asks for positives only.
        lacking = "no positive"
        if label == 1:
            assert (point.threshold, point.feasible) == (0.2, True)
            return
    assert np.isnan(point.threshold)
    assert (point.feasible, point.reason) == (False, f"{lacking} to fit on: no threshold")


@given(TABLES)
@settings(deadline=None, max_examples=40)
def test_f1_is_the_lowest_score_of_best_f1(table):
    for point, p, y in fitted(F1(), table):
        f1 = f1_at(p, y, p)
        assert point.threshold == min(
            t for t, reached in zip(p, f1, strict=True) if reached >= max(f1) - 1e-12
        )


@given(TABLES, st.sampled_from([0.1, 0.5, 2 / 3, 0.9, 1.0]))
@settings(deadline=None)
def test_sensitivity_is_the_highest_score_that_reaches_it(table, target):
    for point, p, y in fitted(Sensitivity(target=target), table):
        reached = {t: (p[y] >= t).mean() >= target for t in p}
        assert point.threshold == max(t for t in reached if reached[t])
        assert point.feasible
        assert bool(point.reason) == bool((p[~y] >= point.threshold).all())
        best = specificity_at_sensitivity(p[:, None], y[:, None].astype(float), target)
        assert (p[~y] < point.threshold).mean() == pytest.approx(best[0])


@given(TABLES, st.sampled_from([0.1, 0.5, 2 / 3, 0.9, 1.0]))
@settings(deadline=None)
def test_specificity_is_the_score_of_most_sensitivity_that_reaches_it(table, target):
    for point, p, y in fitted(Specificity(target=target), table):
        reached = [t for t in set(p) if (p[~y] < t).mean() >= target]
        assert point.feasible == bool(reached)
        if not reached:
            assert point.threshold == p.max()
            assert point.reason.startswith("no threshold reaches specificity")
            continue
        assert point.threshold == max(reached, key=lambda t: ((p[y] >= t).sum(), t))
        best = sensitivity_at_specificity(p[:, None], y[:, None].astype(float), target)
        assert (p[y] >= point.threshold).mean() == pytest.approx(best[0])


@given(TABLES, st.sampled_from([(1, 1), (10, 1), (1, 3)]))
@settings(deadline=None)
def test_cost_is_least_and_net_benefit_most(table, costs):
    fn, fp = costs
    for point, p, y in fitted(Cost(fn=fn, fp=fp), table):
        cost = {t: fn * (p[y] < t).sum() + fp * (p[~y] >= t).sum() for t in p}
        if min(cost.values()) >= fn * y.sum():
            assert (point.threshold, point.feasible) == (1.0, False)
            continue
        assert point.feasible
        assert point.threshold == min(t for t in cost if cost[t] == min(cost.values()))
        at = fp / (fp + fn)
        benefit = {t: net_benefit(confusion((p >= t)[:, None], y[:, None]), at)[0] for t in p}
        assert benefit[point.threshold] == pytest.approx(max(benefit.values()), abs=1e-12)
        assert benefit[point.threshold] == pytest.approx(y.mean() - cost[point.threshold] / (len(y) * fn))


def test_cost_of_exact_probabilities_is_least_at_the_threshold_probability():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 3, (200_000, 1))
    (point,) = Cost(fn=4, fp=1).fit(p, (rng.random(p.shape) < p).astype(float), calibrated=True)
    assert point.threshold == pytest.approx(1 / 5, abs=0.03)


@given(TABLES)
@settings(deadline=None)
def test_prevalence_calls_as_many_as_are_positive(table):
    for point, p, y in fitted(Prevalence(), table):
        assert point.threshold == np.sort(p)[::-1][y.sum() - 1]
        called = (p >= point.threshold).sum()
        assert called - (p == point.threshold).sum() < y.sum() <= called
