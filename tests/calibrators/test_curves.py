"""Platt scaling and isotonic regression against scikit-learn, and what holds of both."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from cxrbench.calibrators.isotonic import Isotonic
from cxrbench.calibrators.platt import Platt
from cxrbench.statistics.ranking import auc, average_precision

BOTH = pytest.mark.parametrize("calibrator", [Platt(), Isotonic()], ids=["platt", "isotonic"])
NAN = float("nan")


def planted(rows=3000, slope=2.0, intercept=-1.5, seed=0):
    """Float32 logits, as networks give them, with labels of ``sigmoid(slope * logit + intercept)``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.3, 1.0, (rows, 1)).astype("float32").astype("float64")
    return logits, (rng.random(logits.shape) < expit(slope * logits + intercept)).astype(float)


def test_platt_is_scikit_learns_logistic_regression_on_platts_targets():
    logits, labels = planted()
    positives = labels.sum()
    targets = np.where(
        labels == 1, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    ).ravel()
    # A target between 0 and 1 is an image that counts in part as positive, in part as negative.
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.vstack([logits, logits]),
        np.repeat([1, 0], len(logits)),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    state = Platt().fit(logits, labels)
    np.testing.assert_allclose(state["slope"], oracle.coef_[0], rtol=1e-4)
    np.testing.assert_allclose(state["intercept"], oracle.intercept_, rtol=1e-4)


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


@BOTH
def test_improves_the_log_loss_of_other_images(calibrator):
    logits, labels = planted(20_000, seed=1)
    state = calibrator.fit(*planted(20_000))
    honest = log_loss(labels, expit(2.0 * logits - 1.5))
    assert log_loss(labels, calibrator.probabilities(logits, state)) < honest + 0.003
    assert log_loss(labels, expit(logits)) > honest + 0.1


@BOTH
@pytest.mark.parametrize("slope", [2.0, 0.1, -2.0], ids=["good", "poor", "reversed"])
def test_keeps_the_order_of_images(calibrator, slope):
    state = calibrator.fit(*planted(slope=slope))
    logits, labels = planted(8000, seed=1)
    probabilities = calibrator.probabilities(logits, state)
    np.testing.assert_array_equal(probabilities.argsort(axis=0), logits.argsort(axis=0))
    np.testing.assert_array_equal(auc(probabilities, labels), auc(logits, labels))
    np.testing.assert_array_equal(average_precision(probabilities, labels), average_precision(logits, labels))


@BOTH
def test_labels_against_the_logits_give_the_prevalence(calibrator):
    logits, labels = planted(slope=-2.0)
    probabilities = calibrator.probabilities(logits, calibrator.fit(logits, labels))
    np.testing.assert_allclose(probabilities, labels.mean(), atol=0.015)


@BOTH
def test_is_never_0_or_1_where_logits_separate_the_labels(calibrator):
    logits = np.linspace(-3, 3, 40)[:, None]
    labels = (logits > 0).astype(float)
    found = calibrator.probabilities(logits, calibrator.fit(logits, labels))
    assert ((found > 0) & (found < 1)).all()


@BOTH
def test_constant_logits_give_the_prevalence(calibrator):
    labels = np.array([[1.0], [0.0], [0.0], [NAN], [0.0]] * 50)
    probabilities = calibrator.probabilities(
        np.full((1, 1), 3.0), calibrator.fit(np.full(labels.shape, 3.0), labels)
    )
    np.testing.assert_allclose(probabilities, 0.25, atol=0.005)


@BOTH
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
