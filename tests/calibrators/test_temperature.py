"""Temperature scaling finds a planted temperature and changes nothing but the scale."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import log_loss

from cxrbench.calibrators.none import NoCalibrator
from cxrbench.calibrators.temperature import Temperature
from cxrbench.statistics.ranking import auc

PLANTED = np.array([0.5, 1.0, 2.5])


@pytest.fixture(scope="module")
def overconfident():
    """Logits that are too large by the planted factors, a tenth of the labels unknown."""
    rng = np.random.default_rng(7)
    honest = rng.normal(-1.0, 1.5, size=(40_000, 3))
    labels = (rng.random(honest.shape) < expit(honest)).astype(float)
    labels[rng.random(labels.shape) < 0.1] = np.nan
    return honest * PLANTED, labels


def nll(probabilities, labels):
    known = ~np.isnan(labels)
    return log_loss(labels[known], probabilities[known])


def test_recovers_the_planted_temperature_of_each_finding(overconfident):
    state = Temperature().fit(*overconfident)
    np.testing.assert_allclose(state["temperature"], PLANTED, rtol=0.03)


def test_recovers_one_shared_temperature(overconfident):
    logits, labels = overconfident
    state = Temperature(scope="shared").fit(logits / PLANTED * 1.7, labels)
    np.testing.assert_allclose(state["temperature"], [1.7] * 3, rtol=0.03)


@pytest.mark.parametrize("scope", ["finding", "shared"])
def test_is_likelier_than_no_calibration_and_a_true_optimum(overconfident, scope):
    logits, labels = overconfident
    calibrator = Temperature(scope=scope)
    state = calibrator.fit(logits, labels)
    fitted = nll(calibrator.probabilities(logits, state), labels)
    assert fitted < nll(NoCalibrator().probabilities(logits, {}), labels)
    for factor in (0.99, 1.01):
        moved = {"temperature": [factor * t for t in state["temperature"]]}
        assert fitted < nll(calibrator.probabilities(logits, moved), labels)


def test_keeps_the_order_of_images(overconfident):
    logits, labels = overconfident
    calibrator = Temperature()
    probabilities = calibrator.probabilities(logits, calibrator.fit(logits, labels))
    np.testing.assert_array_equal(probabilities.argsort(axis=0), logits.argsort(axis=0))
    np.testing.assert_array_equal(auc(probabilities, labels), auc(logits, labels))


@pytest.mark.parametrize(("labels", "bound"), [([0.0, 0.0, 1.0, 1.0], 0.05), ([1.0, 1.0, 0.0, 0.0], 20.0)])
def test_stays_within_its_bounds(labels, bound):
    logits = np.array([-2.0, -1.0, 1.0, 2.0])[:, None]
    (temperature,) = Temperature().fit(logits, np.array(labels)[:, None])["temperature"]
    assert temperature == pytest.approx(bound, rel=1e-3)


def test_no_calibrator_is_the_sigmoid_in_float64():
    logits = np.array([[0.0, -800.0, 800.0]], dtype=np.float32)
    calibrator = NoCalibrator()
    probabilities = calibrator.probabilities(logits, calibrator.fit(logits, np.zeros((1, 3))))
    np.testing.assert_array_equal(probabilities, [[0.5, 0.0, 1.0]])
    assert probabilities.dtype == np.float64
