"""The fitness of many weighted averages at once, against the figures computed one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_recall_curve

from cxrbench.ensembling.fitness import WeightedFitness
from cxrbench.errors import UsageError
from cxrbench.statistics.operating import best_f1
from cxrbench.statistics.ranking import auc, average_precision


def problem(seed=0, rows=400, classes=3, members=4, digits=None):
    rng = np.random.default_rng(seed)
    labels = (rng.random((rows, classes)) < np.linspace(0.05, 0.5, classes)).astype(float)
    scores = 1 / (1 + np.exp(-rng.normal(size=(members, rows, classes)) - labels + 1))
    labels[rng.random(labels.shape) < 0.1] = np.nan
    return scores if digits is None else scores.round(digits), labels, rng.dirichlet(np.ones(members), 40)


def combined(weights, scores):
    return np.einsum("m,mnc->nc", weights, scores)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("macro_f1", lambda scores, labels: best_f1(scores, labels)[1]),
        ("macro_auc", auc),
        ("macro_ap", average_precision),
    ],
)
def test_figures_are_those_of_each_average(name, exact, threads):
    scores, labels, weights = problem()
    fitness = WeightedFitness(name, "multilabel", scores, labels, threads)
    expected = np.stack([exact(combined(each, scores), labels) for each in weights])
    # Twice: the second time only as many scores are sorted as the first time needed.
    for _ in range(2):
        np.testing.assert_allclose(fitness.each(weights), expected, atol=2e-4)
    np.testing.assert_allclose(fitness.whole(weights), expected.mean(axis=1), atol=2e-4)


@given(st.integers(0, 2**31), st.integers(0, 2), st.integers(2, 60), st.floats(0.01, 0.99))
@settings(max_examples=150, deadline=None)
def test_f1_is_exact_where_scores_tie(seed, digits, rows, share):
    """A member alone, whose scores are rounded: no weights, and so no rounding, come between."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((rows, 2)) < share).astype(float)
    scores = rng.random((1, rows, 2)).round(digits)
    fitness = WeightedFitness("macro_f1", "multilabel", scores, labels, 1)
    expected = best_f1(scores[0].astype(np.float32), labels)[1]
    mixed = (labels.any(axis=0)) & ~(labels.all(axis=0))
    for _ in range(2):
        found = fitness.each(np.ones((1, 1)))[0]
        np.testing.assert_allclose(found[mixed], expected[mixed], atol=1e-6)
        assert np.isnan(found[~mixed]).all()


@pytest.mark.parametrize(("name", "exact"), [("macro_auc", auc), ("macro_ap", average_precision)])
def test_ranking_figures_count_ties_as_they_should(name, exact):
    scores, labels, _ = problem(digits=1)
    alone = np.eye(len(scores))
    fitness = WeightedFitness(name, "multilabel", scores, labels, 1)
    expected = np.stack([exact(member, labels) for member in scores])
    np.testing.assert_allclose(fitness.each(alone), expected, atol=1e-6)


def test_scikit_learn_finds_the_same_f1():
    scores, labels, weights = problem()
    found = WeightedFitness("macro_f1", "multilabel", scores, labels).each(weights[:3])
    for row, each in zip(found, weights, strict=False):
        for column, value in enumerate(row):
            known = ~np.isnan(labels[:, column])
            curve = precision_recall_curve(labels[known, column], combined(each, scores)[known, column])
            precision, recall = curve[0], curve[1]
            f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
            assert value == pytest.approx(f1.max(), abs=1e-6)


def test_accuracy_is_that_of_the_calls_at_the_best_f1():
    scores, labels, weights = problem()
    found = WeightedFitness("accuracy", "multilabel", scores, labels).each(weights)
    for row, each in zip(found, weights, strict=True):
        average = combined(each, scores)
        thresholds, f1 = best_f1(average, labels)
        for column in range(labels.shape[1]):
            known = ~np.isnan(labels[:, column])
            called = average[known, column] >= thresholds[column] - 1e-7
            assert f1_score(labels[known, column], called) == pytest.approx(f1[column])
            assert row[column] == pytest.approx(accuracy_score(labels[known, column], called), abs=0.01)


@pytest.mark.parametrize("own", [False, True])
def test_where_one_class_is_right_the_most_probable_is_called(own):
    rng = np.random.default_rng(0)
    right = rng.integers(0, 4, 300)
    labels = np.eye(4)[right]
    logits = rng.normal(size=(3, 300, 4)) + labels
    scores = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    weights = rng.dirichlet(np.ones(3), (7, 4) if own else 7)
    weights = weights.transpose(0, 2, 1) if own else weights
    f1 = WeightedFitness("macro_f1", "singlelabel", scores, labels)
    accuracy = WeightedFitness("accuracy", "singlelabel", scores, labels)
    for place, each in enumerate(weights):
        form = "mc,mnc->nc" if own else "m,mnc->nc"
        called = np.einsum(form, each, scores).argmax(axis=1)
        assert f1.whole(weights)[place] == pytest.approx(f1_score(right, called, average="macro"))
        assert accuracy.whole(weights)[place] == pytest.approx(accuracy_score(right, called))
    with pytest.raises(UsageError, match="no mean over classes"):
        accuracy.each(weights)


def test_weights_of_each_class_are_those_of_its_own():
    scores, labels, weights = problem(classes=3)
    own = np.stack([weights[:30], weights[5:35], weights[10:40]], axis=2)
    fitness = WeightedFitness("macro_f1", "multilabel", scores, labels)
    expected = [fitness.each(own[:, :, column])[:, column] for column in range(3)]
    np.testing.assert_allclose(fitness.each(own), np.column_stack(expected))


def test_logits_below_zero_are_ranked_too():
    scores, labels, weights = problem()
    logits = np.log(scores / (1 - scores))
    found = WeightedFitness("macro_f1", "multilabel", logits, labels).each(weights)
    expected = np.stack([best_f1(combined(each, logits), labels)[1] for each in weights])
    np.testing.assert_allclose(found, expected, atol=1e-6)
