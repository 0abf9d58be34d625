"""What patients add to figures: DeLong, Obuchowski and the bootstrap are its oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from cxrbench.statistics.bootstrap import bootstrap
from cxrbench.statistics.calibration import expected_calibration_error
from cxrbench.statistics.delong import auc_covariance
from cxrbench.statistics.influence import FIGURES, Images
from cxrbench.statistics.intervals import difference_bounds, share_bounds
from cxrbench.statistics.ranking import auc
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Calibration, Decisions, Ranking

CALLED = 0.4


def study(seed, n=4000, images=4, decimals=12):
    """Probabilities, labels, decisions and the place of each image's patient, two findings."""
    rng = np.random.default_rng(seed)
    rows = np.arange(n) // images
    own = rng.normal(size=(rows.max() + 1, 2))[rows]
    labels = (rng.random((n, 2)) < 1 / (1 + np.exp(1.5 - own))).astype(float)
    logits = rng.normal(size=labels.shape) + labels + 0.5 * own - 0.5
    probabilities = np.round(1 / (1 + np.exp(-logits)), decimals)
    return probabilities, labels, (probabilities > CALLED).astype(float), rows


def of_all(probabilities, labels, decisions, rows, inside=None):
    images = Images(probabilities, labels, decisions, rows, rows.max() + 1)
    everything = np.ones(len(rows), bool) if inside is None else inside
    return images.of(everything, np.ones(labels.shape[1], bool))


@pytest.mark.parametrize("decimals", [2, 12])
def test_values_are_those_of_the_functions_ties_and_unknown_labels_included(decimals):
    probabilities, labels, decisions, rows = study(0, decimals=decimals)
    labels[::7, 0] = np.nan
    decisions[::5, 1] = np.nan
    found = of_all(probabilities, labels, decisions, rows)
    np.testing.assert_array_equal(found.values[FIGURES.index("auc")], auc(probabilities, labels))
    expected = expected_calibration_error(probabilities, labels)
    np.testing.assert_allclose(found.values[FIGURES.index("ece")], expected, rtol=1e-12)
    for column in range(2):
        known = ~np.isnan(decisions[:, column])
        for figure, truth in (("tpr", 1), ("fpr", 0)):
            own = decisions[known & (labels[:, column] == truth), column]
            assert found.values[FIGURES.index(figure), column] == pytest.approx(own.mean())
    np.testing.assert_allclose(found.by_patient.sum(axis=2), 0, atol=1e-12)


@pytest.mark.parametrize("images", [1, 4])
def test_the_variance_of_an_auc_is_that_of_delong_and_obuchowski(images):
    probabilities, labels, decisions, rows = study(1, images=images, decimals=2)
    found = of_all(probabilities, labels, decisions, rows)
    oracle = auc_covariance(probabilities[None], labels, None if images == 1 else rows).covariance[:, 0, 0]
    np.testing.assert_allclose(found.covariance(found)[FIGURES.index("auc")], oracle, rtol=5e-3)


def test_variances_and_covariances_are_those_of_the_bootstrap():
    probabilities, labels, decisions, rows = study(2)
    resamples = Resamples(rows, "x", 4000)
    inside = np.arange(len(rows)) % 2 == 0  # of each patient some images are in either group
    sides, drawn = [], []
    for chosen in (inside, ~inside):
        sides.append(of_all(probabilities, labels, decisions, rows, chosen))
        unknown = np.where(chosen[:, None], labels, np.nan)
        statistics = [
            Ranking(probabilities, unknown, resamples),
            Decisions(decisions, unknown, resamples),
            Calibration(probabilities, unknown, resamples),
        ]
        found = bootstrap(["a", "b"], resamples, statistics)
        at = [found.metrics.index(name) for name in ("auc", "recall", "specificity", "ece")]
        drawn.append(found.replicates[at] * np.array([1, 1, -1, 1])[:, None, None])
    for side, replicates in zip(sides, drawn, strict=True):
        expected = replicates.std(axis=2)
        np.testing.assert_allclose(np.sqrt(side.covariance(side))[:3], expected[:3], rtol=0.05)
        # That of a calibration error errs on the wide side.
        wider = np.sqrt(side.covariance(side))[3] / expected[3]
        assert (wider > 0.95).all()
        assert (wider < 1.7).all()
    gaps = sides[0].covariance(sides[0]) + sides[1].covariance(sides[1]) - 2 * sides[0].covariance(sides[1])
    np.testing.assert_allclose(np.sqrt(gaps)[:3], (drawn[0] - drawn[1]).std(axis=2)[:3], rtol=0.05)
    mean = sides[0].mean()
    np.testing.assert_allclose(
        np.sqrt(mean.covariance(mean))[:3, 0], drawn[0].mean(axis=1).std(axis=1)[:3], rtol=0.05
    )


def test_findings_left_out_or_with_a_score_that_is_not_finite_are_undefined():
    probabilities, labels, decisions, rows = study(3, n=400)
    probabilities[0, 0] = np.nan
    images = Images(probabilities, labels, decisions, rows, 100)
    everything = np.ones(400, bool)
    assert np.isnan(images.of(everything, np.array([True, False])).values).all()


@given(st.integers(2, 200), st.data())
def test_an_interval_of_a_share_of_many_is_wilsons(n, data):
    k = data.draw(st.integers(0, n))
    share = np.array([k / n])
    low, high = share_bounds(share, share * (1 - share) / n, np.array([1e7]))
    # Where all images agree their number stands in for the variance that they do not show.
    if 0 < k < n:
        expected = binomtest(k, n).proportion_ci(method="wilson")
        assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_an_interval_of_a_share_of_all_rests_on_its_patients_and_one_patient_has_none():
    low, high = share_bounds(np.array([1.0, 1.0]), np.zeros(2), np.array([20.0, 1.0]))
    assert 0.8 < low[0] < 0.9
    assert high[0] == pytest.approx(1)
    assert np.isnan(low[1])


def test_a_difference_of_independent_shares_is_newcombes():
    """Newcombe 1998, table II: 56 of 70 less 48 of 80."""
    shares, sizes = np.array([56 / 70, 48 / 80]), np.array([70, 80])
    low, high = share_bounds(shares, shares * (1 - shares) / sizes, np.array([1e9, 1e9]))
    ends = [(low[k], high[k]) for k in (0, 1)]
    found = difference_bounds((shares[0], shares[1]), (ends[0], ends[1]), np.zeros(()))
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)
