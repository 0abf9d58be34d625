"""Averages over classes cover what is defined and say how much that is."""

import numpy as np
import pytest
from sklearn import metrics

from cxrbench.statistics import averages

NAN = np.nan


def test_macro_leaves_out_the_undefined():
    assert averages.macro(np.array([0.2, NAN, 0.6])) == pytest.approx(0.4)
    assert averages.covered(np.array([0.2, NAN, 0.6])) == 2


def test_weighted_leaves_out_the_undefined_and_its_weight():
    assert averages.weighted(np.array([0.2, NAN, 0.6]), np.array([3, 100, 1])) == pytest.approx(0.3)


def test_averages_of_nothing_are_undefined():
    nothing = np.array([NAN, NAN])
    assert np.isnan(averages.macro(nothing))
    assert averages.covered(nothing) == 0
    assert np.isnan(averages.weighted(nothing, np.array([1, 1])))
    assert np.isnan(averages.weighted(np.array([0.5, NAN]), np.array([0, 7])))


def test_micro_and_weighted_equal_sklearn():
    rng = np.random.default_rng(3)
    labels = (rng.random((300, 4)) < [0.1, 0.2, 0.3, 0.4]).astype(float)
    scores = np.round(rng.random((300, 4)) + 0.3 * labels, 1)
    assert averages.micro_auc(scores, labels) == pytest.approx(
        metrics.roc_auc_score(labels, scores, average="micro"), rel=1e-12
    )
    assert averages.micro_average_precision(scores, labels) == pytest.approx(
        metrics.average_precision_score(labels, scores, average="micro"), rel=1e-12
    )
    of_classes = metrics.average_precision_score(labels, scores, average=None)
    assert averages.weighted(of_classes, labels.sum(axis=0)) == pytest.approx(
        metrics.average_precision_score(labels, scores, average="weighted"), rel=1e-12
    )


def test_micro_leaves_out_unknown_cells():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    labels = np.array([[1, NAN], [0, 0]])
    assert averages.micro_auc(scores, labels) == 1.0
