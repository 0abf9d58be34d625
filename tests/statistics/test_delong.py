"""DeLong's and Obuchowski's variances against their definitions, known values and the bootstrap."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from simulation import Design, draw

from cxrbench.statistics.bootstrap import bootstrap
from cxrbench.statistics.delong import auc_covariance
from cxrbench.statistics.ranking import auc
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Ranking


def kernel(x, y):
    """DeLong's ψ for every pair: 1, 1/2 or 0."""
    return (x[:, None] > y) + 0.5 * (x[:, None] == y)


def by_definition(scores, labels, patients):
    """The covariance of systems' AUCs, with a loop over patients where they are given."""
    pairs = [kernel(s[labels == 1], s[labels == 0]) for s in scores]
    m, n = pairs[0].shape
    v10, v01 = np.stack([p.mean(axis=1) for p in pairs]), np.stack([p.mean(axis=0) for p in pairs])
    if patients is None:
        return np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n
    area = v10.mean(axis=1)
    everyone = np.unique(patients)
    of_positives, of_negatives = patients[labels == 1], patients[labels == 0]
    a = np.array([(v10[:, of_positives == who] - area[:, None]).sum(axis=1) for who in everyone])
    b = np.array([(v01[:, of_negatives == who] - area[:, None]).sum(axis=1) for who in everyone])
    i10, i01, i = len(set(of_positives)), len(set(of_negatives)), len(everyone)
    s10, s01 = i10 / ((i10 - 1) * m) * a.T @ a, i01 / ((i01 - 1) * n) * b.T @ b
    s11 = i / (i - 1) * a.T @ b
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


@pytest.fixture
def table():
    rng = np.random.default_rng(4)
    labels = (rng.random((120, 2)) < [0.3, 0.6]).astype(float)
    labels[rng.random(labels.shape) < 0.1] = np.nan
    scores = np.round(rng.normal(size=(3, 120, 2)) + np.nan_to_num(labels), 1)
    return scores, labels, rng.integers(0, 40, 120)


@pytest.mark.parametrize("clustered", [False, True])
def test_covariance_equals_the_definition_with_ties_and_unknown_labels(table, clustered):
    scores, labels, patients = table
    ours = auc_covariance(scores, labels, patients if clustered else None)
    for c in range(2):
        known = ~np.isnan(labels[:, c])
        expected = by_definition(
            scores[:, known, c], labels[known, c], patients[known] if clustered else None
        )
        np.testing.assert_allclose(ours.covariance[c], expected, rtol=1e-10)
    np.testing.assert_allclose(ours.auc, [auc(s, labels) for s in scores], rtol=1e-12)


def test_auc_is_mann_whitneys_u(table):
    scores, labels, _ = table
    fitted = auc_covariance(scores[:1], labels)
    known = labels[:, 0]
    x, y = scores[0, known == 1, 0], scores[0, known == 0, 0]
    assert fitted.auc[0, 0] == pytest.approx(mannwhitneyu(x, y).statistic / (len(x) * len(y)), rel=1e-12)


def test_one_image_a_patient_gives_delong(table):
    scores, labels, _ = table
    alone = auc_covariance(scores, labels, np.arange(len(labels)))
    np.testing.assert_allclose(alone.covariance, auc_covariance(scores, labels).covariance, rtol=1e-12)


def test_a_small_example_by_hand():
    # Positives 3, 1; negatives 2, 0. Placements 1, 1/2 and 1/2, 1: variances 1/8 each, over 2 each.
    scores, labels = np.array([3.0, 1, 2, 0]), np.array([1.0, 1, 0, 0])
    fitted = auc_covariance(scores[None, :, None], labels[:, None])
    assert fitted.auc.item() == 0.75
    assert fitted.covariance.item() == pytest.approx(1 / 8)
    # One patient has images 3 and 0, the other 1 and 2: placements are 1/4 above the AUC, or 1/4 below it, in
    # both kinds. Each kind gives 2/1 × 2 × (1/4 / 2)², and their product as much, twice.
    clustered = auc_covariance(scores[None, :, None], labels[:, None], np.array([0, 1, 1, 0]))
    assert clustered.covariance.item() == pytest.approx(4 * 2 * 2 / 64)


def test_undefined_where_there_is_nothing_to_vary():
    scores = np.array([[[0.1] * 3, [0.5] * 3, [0.9] * 3, [0.3] * 3]])
    labels = np.array([[0.0, 0, 1], [0, 0, 1], [0, 1, 1], [0, 0, np.nan]])
    fitted = auc_covariance(scores, labels)
    np.testing.assert_array_equal(fitted.auc, [[np.nan, 1.0, np.nan]])
    assert np.isnan(fitted.covariance).all()
    assert math.isnan(fitted.interval(0, 1).low)


@pytest.mark.parametrize("images", [1.0, 4.0])
def test_the_bootstrap_agrees(images):
    design = Design(0.8, 500, images, 250)
    scores, labels, who = draw(np.random.default_rng(2), design)
    fitted = auc_covariance(scores, labels, who)
    resamples = Resamples(who, "x", 2000)
    drawn = [
        bootstrap(["f"], resamples, [Ranking(each, labels, resamples)]).replicates[0, 0] for each in scores
    ]
    np.testing.assert_allclose(np.cov(drawn), fitted.covariance[0], rtol=0.15)


def test_the_test_of_a_difference():
    design = Design(0.8, 500, 1.0, 250)
    scores, labels, _ = draw(np.random.default_rng(2), design)
    scores[1] = scores[0] + np.random.default_rng(3).normal(size=labels.shape)
    fitted = auc_covariance(scores, labels)
    gap, interval, p = fitted.difference(0, 1, 0)
    (a, ab), (_, b) = fitted.covariance[0]
    z = gap / math.sqrt(a + b - 2 * ab)
    assert gap == pytest.approx(auc(scores[0], labels)[0] - auc(scores[1], labels)[0])
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)))
    assert (interval.low > 0) == (p < 0.05)
    same = auc_covariance(np.stack([scores[0], 3 * scores[0] + 1]), labels)
    assert same.difference(0, 1, 0) == (0.0, same.difference(0, 1, 0)[1], 1.0)


def test_without_a_variance_there_is_no_p():
    # One positive: AUCs are known, variances are not. Equal AUCs are no reason to say p = 1.
    single = auc_covariance(
        np.array([[0.2, 0.9, 0.4], [0.3, 0.8, 0.1]])[..., None], np.array([[0.0], [1], [0]])
    )
    gap, _, p = single.difference(0, 1, 0)
    assert gap == 0
    assert math.isnan(p)
    # A perfect system and one that tells nothing: neither varies from image to image.
    flat = auc_covariance(
        np.array([[0.0, 0, 1, 1], [0, 0, 0, 0]])[..., None], np.array([[0.0], [0], [1], [1]])
    )
    gap, _, p = flat.difference(0, 1, 0)
    assert gap == 0.5
    assert math.isnan(p)
