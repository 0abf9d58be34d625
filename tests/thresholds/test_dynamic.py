"""The step down of the dynamic strategy, against what the plain search gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from cxrbench.errors import UsageError
from cxrbench.thresholds.dynamic import Dynamic
from cxrbench.thresholds.precision_f1 import PrecisionF1

TABLES = st.tuples(st.integers(1, 40), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=st.floats(0.001, 1), fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 0.0, 0.0, 1.0, np.nan]), fill=st.nothing()),
    )
)


@given(TABLES, st.booleans(), st.sampled_from([0.1, 0.3, 0.6]))
@settings(deadline=None)
def test_only_findings_of_low_f1_are_lowered(table, calibrated, floor):
    probabilities, labels = table
    plain = PrecisionF1(min_precision=floor).fit(probabilities, labels, calibrated=calibrated)
    ours = Dynamic(min_precision=floor, low_f1=0.4).fit(probabilities, labels, calibrated=calibrated)
    for c, (before, after) in enumerate(zip(plain, ours, strict=True)):
        assert after.feasible == before.feasible
        if np.isnan(before.threshold):
            assert np.isnan(after.threshold)
            continue
        known = ~np.isnan(labels[:, c])
        reached = f1_score(labels[known, c], probabilities[known, c] >= before.threshold)
        stands_in = not before.feasible and not calibrated
        if stands_in or reached < 0.4 - 1e-12:
            expected = before.threshold - 0.05 if before.threshold >= 0.1 else before.threshold / 2
            assert after.threshold == pytest.approx(expected, abs=1e-9)
            assert 0 < after.threshold < before.threshold
            assert "lowered" in after.reason
        elif reached > 0.4 + 1e-12:
            assert after == before


def test_an_unreachable_floor_gives_the_published_45():
    probabilities = np.array([[0.9], [0.8], [0.7], [0.6], [0.3]])
    labels = np.array([[0.0], [0.0], [0.0], [1.0], [0.0]])
    (point,) = Dynamic(min_precision=0.4).fit(probabilities, labels, calibrated=False)
    assert (point.threshold, point.feasible) == (0.45, False)
    assert point.reason == ("no threshold reaches precision 0.4: 0.5; lowered from 0.5")


def test_thresholds_of_the_grid_stay_hundredths():
    # One positive of many is found, at .15: F1 is low, precision is not. In floats .15 − .05 is under .1.
    probabilities = np.concatenate([[0.17], np.full(20, 0.05), [0.12]])[:, None]
    labels = np.concatenate([np.ones(21), [0.0]])[:, None]
    (point,) = Dynamic(min_precision=0.9).fit(probabilities, labels, calibrated=False)
    assert (point.threshold, point.feasible) == (0.1, True)


def test_a_step_takes_at_most_half():
    probabilities, labels = np.array([[0.03]] * 9 + [[0.02]]), np.array([[1.0]] + [[0.0]] * 9)
    (point,) = Dynamic().fit(probabilities, labels, calibrated=True)
    assert point.threshold == 0.015


def test_low_above_high_is_refused_here_too():
    with pytest.raises(UsageError, match="low"):
        Dynamic(low=0.5, high=0.4)
