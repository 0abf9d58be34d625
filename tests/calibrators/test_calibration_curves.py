"""Platt, beta and isotonic calibration against scikit-learn, and what holds of all of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from cxrbench.calibrators.beta import Beta
from cxrbench.calibrators.isotonic import Isotonic
from cxrbench.calibrators.platt import Platt
from cxrbench.statistics.ranking import auc, average_precision

EACH = pytest.mark.parametrize("calibrator", [Platt(), Beta(), Isotonic()], ids=["platt", "beta", "isotonic"])
NAN = float("nan")


def planted(rows=3000, slope=2.0, intercept=-1.5, seed=0):
    """Float32 logits, as networks give them, with labels of ``sigmoid(slope * logit + intercept)``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.3, 1.0, (rows, 1)).astype("float32").astype("float64")
    return logits, (rng.random(logits.shape) < expit(slope * logits + intercept)).astype(float)


def logistic_regression(features, labels):
    """Scikit-learn's, without penalty, on Platt's targets: slopes and intercept."""
    positives = labels.sum()
    targets = np.where(
        labels == 1, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    ).ravel()
    # A target between 0 and 1 is an image that counts in part as positive, in part as negative.
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(
        np.vstack([features, features]),
        np.repeat([1, 0], len(features)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    return oracle.coef_[0], oracle.intercept_


def test_platt_is_scikit_learns_logistic_regression_on_platts_targets():
    logits, labels = planted()
    slope, intercept = logistic_regression(logits, labels)
    state = Platt().fit(logits, labels)
    np.testing.assert_allclose(state["slope"], slope, rtol=1e-4)
    np.testing.assert_allclose(state["intercept"], intercept, rtol=1e-4)


def beta_curve(logits, a, b, c):
    """What beta calibration assumes, and labels drawn from it."""
    p = expit(logits)
    honest = expit(a * np.log(p) - b * np.log1p(-p) + c)
    return honest, (np.random.default_rng(2).random(p.shape) < honest).astype(float)


def test_beta_is_scikit_learns_logistic_regression_on_two_logarithms():
    logits, _ = planted()
    _, labels = beta_curve(logits, 0.5, 2.0, -1.0)
    slopes, intercept = logistic_regression(np.hstack([log_expit(logits), -log_expit(-logits)]), labels)
    state = Beta().fit(logits, labels)
    assert (slopes > 0).all()
    np.testing.assert_allclose([*state["a"], *state["b"]], slopes, rtol=1e-3)
    np.testing.assert_allclose(state["c"], intercept, rtol=1e-3)


def test_beta_recovers_a_curve_that_platt_cannot():
    logits = np.random.default_rng(3).normal(0, 2, (60_000, 1))
    honest, labels = beta_curve(logits, 0.3, 2.0, 0.5)
    loss = {c: log_loss(labels, c.probabilities(logits, c.fit(logits, labels))) for c in (Platt(), Beta())}
    assert loss[Beta()] < log_loss(labels, honest) < loss[Platt()] - 0.005


def test_beta_holds_slopes_at_their_least_where_labels_ask_for_less():
    logits, _ = planted(20_000)
    _, labels = beta_curve(logits, -0.5, 2.0, 0.0)
    state = Beta().fit(logits, labels)
    assert state["a"][0] == pytest.approx(0.01 / logits.std())
    assert state["b"][0] > 1


def test_platt_recovers_each_findings_curve_on_any_scale():
    columns = [planted(60_000, slope, intercept) for slope, intercept in ((0.5, -3.0), (2.0, 1.0))]
    scales = np.array([1e-3, 1e3])
    logits, labels = (np.hstack(parts) for parts in zip(*columns, strict=True))
    state = Platt().fit(logits * scales, labels)
    np.testing.assert_allclose(state["slope"] * scales, [0.5, 2.0], atol=0.08)
    np.testing.assert_allclose(state["intercept"], [-3.0, 1.0], atol=0.08)


def test_isotonic_is_scikit_learns_but_for_the_order_on_plateaus():
    logits, labels = planted()
    least, most = 1 / ((labels == 0).sum() + 2), (labels.sum() + 1) / (labels.sum() + 2)
    oracle = IsotonicRegression(y_min=least, y_max=most, out_of_bounds="clip")
    asked = np.linspace(-5, 5, 1001)
    expected = oracle.fit(logits[:, 0], labels[:, 0]).predict(asked)
    found = Isotonic().probabilities(asked[:, None], Isotonic().fit(logits, labels))
    np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1.001e-6)


def test_isotonic_by_hand():
    # The middle two are out of order and pool to one half; the ends are held off 0 and 1.
    logits, labels = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
    found = Isotonic().probabilities(logits, Isotonic().fit(logits, labels))
    np.testing.assert_allclose(found[:, 0], [0.25, 0.5, 0.5, 0.75], atol=1e-6)


@EACH
def test_improves_the_log_loss_of_other_images(calibrator):
    logits, labels = planted(20_000, seed=1)
    state = calibrator.fit(*planted(20_000))
    honest = log_loss(labels, expit(2.0 * logits - 1.5))
    assert log_loss(labels, calibrator.probabilities(logits, state)) < honest + 0.003
    assert log_loss(labels, expit(logits)) > honest + 0.1


@EACH
@pytest.mark.parametrize("slope", [2.0, 0.1, -2.0], ids=["good", "poor", "reversed"])
def test_keeps_the_order_of_images(calibrator, slope):
    state = calibrator.fit(*planted(slope=slope))
    logits, labels = planted(8000, seed=1)
    probabilities = calibrator.probabilities(logits, state)
    np.testing.assert_array_equal(probabilities.argsort(axis=0), logits.argsort(axis=0))
    np.testing.assert_array_equal(auc(probabilities, labels), auc(logits, labels))
    np.testing.assert_array_equal(average_precision(probabilities, labels), average_precision(logits, labels))


@EACH
def test_labels_against_the_logits_give_the_prevalence(calibrator):
    logits, labels = planted(slope=-2.0)
    probabilities = calibrator.probabilities(logits, calibrator.fit(logits, labels))
    np.testing.assert_allclose(probabilities, labels.mean(), atol=0.015)


@EACH
def test_is_never_0_or_1_where_logits_separate_the_labels(calibrator):
    logits = np.linspace(-3, 3, 40)[:, None]
    labels = (logits > 0).astype(float)
    found = calibrator.probabilities(logits, calibrator.fit(logits, labels))
    assert ((found > 0) & (found < 1)).all()


@EACH
def test_constant_logits_give_the_prevalence(calibrator):
    labels = np.array([[1.0], [0.0], [0.0], [NAN], [0.0]] * 50)
    probabilities = calibrator.probabilities(
        np.full((1, 1), 3.0), calibrator.fit(np.full(labels.shape, 3.0), labels)
    )
    np.testing.assert_allclose(probabilities, 0.25, atol=0.005)


@EACH
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_logits_and_labels_can_be_fitted(calibrator, data):
    rows = data.draw(st.integers(2, 12))
    number = st.floats(-1e3, 1e3, width=32)
    logits = np.array(data.draw(st.lists(number, min_size=rows, max_size=rows)))[:, None]
    rest = st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=rows - 2, max_size=rows - 2)
    labels = np.array([0.0, 1.0, *data.draw(rest)])[:, None]
    asked = np.sort(np.concatenate([logits, [[-1e4], [0.0], [1e4]]]), axis=0)
    probabilities = calibrator.probabilities(asked, calibrator.fit(logits, labels))
    assert np.isfinite(probabilities).all()
    assert (np.diff(probabilities[:, 0]) >= 0).all()
