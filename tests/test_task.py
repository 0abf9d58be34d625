"""The task owns the activation, the decision, and what fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxrbench.errors import UsageError
from cxrbench.task import Task

CLASSES = ("Mass", "Nodule", "Hernia")
MULTI = Task("multilabel", CLASSES)
SINGLE = Task("singlelabel", CLASSES)

logits = arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(-80, 80, width=32))
shares = arrays(np.float64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(0, 1))


@given(logits)
def test_multilabel_probabilities_are_sigmoids(values):
    found = MULTI.probabilities(values)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-values.astype(np.float64))), rtol=1e-12)


@given(logits)
def test_singlelabel_probabilities_are_a_softmax(values):
    found = SINGLE.probabilities(values)
    powers = np.exp(values.astype(np.float64))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, powers / powers.sum(axis=1, keepdims=True), rtol=1e-12)


def test_extreme_logits_stay_probabilities():
    values = np.array([[-1e4, 0, 1e4]], dtype=np.float32)
    np.testing.assert_array_equal(MULTI.probabilities(values), [[0, 0.5, 1]])
    np.testing.assert_array_equal(SINGLE.probabilities(values), [[0, 0, 1]])


def test_a_class_is_positive_from_its_threshold_on():
    probabilities = np.array([[0.2, 0.5, 0.7], [0.3, 0.49, 0.71]])
    decisions = MULTI.decide(probabilities, np.array([0.3, 0.5, 0.7]))
    assert decisions.dtype == np.float64
    np.testing.assert_array_equal(decisions, [[0, 1, 1], [1, 0, 1]])


def test_what_is_not_known_is_left_undecided():
    probabilities = np.array([[0.2, np.nan, 0.7], [0.3, 0.9, 0.1]])
    decisions = MULTI.decide(probabilities, np.array([0.3, 0.5, np.nan]))
    np.testing.assert_array_equal(decisions, [[0, np.nan, np.nan], [1, 1, np.nan]])


def test_deciding_leaves_its_arguments_as_they_were():
    probabilities, thresholds = np.array([[0.2, 0.5, 0.7]]), np.array([0.1, np.nan, 0.9])
    before = probabilities.copy(), thresholds.copy()
    MULTI.decide(probabilities, thresholds)
    np.testing.assert_array_equal(probabilities, before[0])
    np.testing.assert_array_equal(thresholds, before[1])


@given(shares)
def test_exactly_one_class_is_decided_on_a_single_label_task(probabilities):
    decisions = SINGLE.decide(probabilities, None)
    assert decisions.dtype == np.float64
    np.testing.assert_array_equal(decisions.sum(axis=1), 1)
    np.testing.assert_array_equal((decisions * probabilities).sum(axis=1), probabilities.max(axis=1))


def test_a_multilabel_decision_needs_thresholds():
    with pytest.raises(ValueError, match="threshold"):
        MULTI.decide(np.zeros((1, 3)), None)


def test_what_does_not_fit_the_task_is_refused_with_where_to_look():
    MULTI.require_fit("thresholds", "youden", frozenset({"multilabel"}))
    SINGLE.require_fit("loss", "any", frozenset({"multilabel", "singlelabel"}))
    with pytest.raises(UsageError) as caught:
        SINGLE.require_fit("thresholds", "youden", frozenset({"multilabel"}))
    assert str(caught.value) == (
        "The thresholds 'youden' works on multilabel tasks, but this task is singlelabel; "
        "'cxrbench list thresholds' names the others."
    )
