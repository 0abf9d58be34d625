"""Calibrators of single-label tasks: scikit-learn is the oracle, and curves that were planted."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from cxrbench.calibrators.platt import Platt
from cxrbench.calibrators.softmax_temperature import SoftmaxTemperature
from cxrbench.calibrators.vector import Vector

SCALE, BIAS = np.array([0.5, 1.0, 2.0]), np.array([-0.4, 0.0, 0.4])
EACH = pytest.mark.parametrize("calibrator", [SoftmaxTemperature(), Vector()], ids=["temperature", "vector"])


def planted(rows=40_000, seed=0, scale=SCALE, bias=BIAS):
    """Logits, and one class a row drawn from ``softmax(scale * logits + bias)``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.5, 1.5, (rows, len(scale)))
    below = softmax(scale * logits + bias, axis=1).cumsum(axis=1)
    places = np.minimum((below < rng.random((rows, 1))).sum(axis=1), len(scale) - 1)
    return logits, np.eye(len(scale))[places]


def test_recovers_a_planted_temperature():
    logits, labels = planted(scale=np.ones(3) / 2.5, bias=np.zeros(3))
    assert SoftmaxTemperature().fit(logits, labels)["temperature"] == pytest.approx(2.5, rel=0.03)


def test_temperature_is_an_optimum():
    logits, labels = planted()
    fitted = SoftmaxTemperature().fit(logits, labels)["temperature"]
    loss = {
        factor: log_loss(labels, SoftmaxTemperature().probabilities(logits, {"temperature": factor * fitted}))
        for factor in (0.99, 1.0, 1.01)
    }
    assert min(loss, key=loss.__getitem__) == 1.0


def test_vector_recovers_planted_scales_and_biases():
    state = Vector().fit(*planted())
    np.testing.assert_allclose(state["scale"], SCALE, atol=0.05)
    np.testing.assert_allclose(state["bias"], BIAS, atol=0.05)


def test_vector_is_an_optimum_that_beats_the_temperature():
    logits, labels = planted()
    state = Vector().fit(logits, labels)

    def loss(state):
        return log_loss(labels, Vector().probabilities(logits, state))

    best = loss(state)
    temperature = SoftmaxTemperature()
    assert best < log_loss(labels, temperature.probabilities(logits, temperature.fit(logits, labels))) - 0.01
    for name in state:
        for place in range(3):
            for step in (-0.02, 0.02):
                moved = np.array(state[name])
                moved[place] += step
                assert best < loss({**state, name: moved})


def test_vector_of_two_classes_with_mirrored_logits_is_platts_curve():
    logits, labels = planted(5000, scale=np.array([1.0, 1.0]), bias=np.zeros(2))
    # With logits ±x/2 the softmax is a sigmoid of the mean scale times x, and only that mean is determined.
    x = logits[:, [1]] - logits[:, [0]]
    found = Vector().probabilities(np.hstack([-x, x]) / 2, Vector().fit(np.hstack([-x, x]) / 2, labels))
    platt = Platt().fit(x, labels[:, [1]])
    np.testing.assert_allclose(found[:, [1]], expit(platt["slope"] * x + platt["intercept"]), atol=1e-4)


@EACH
def test_rows_add_up_to_1_and_unknown_images_do_not_matter(calibrator):
    logits, labels = planted(3000)
    hidden = np.where(np.arange(3000)[:, None] % 5 == 0, np.nan, labels)
    known = ~np.isnan(hidden[:, 0])
    state = calibrator.fit(logits, hidden)
    np.testing.assert_allclose(calibrator.probabilities(logits, state).sum(axis=1), 1, rtol=1e-12)
    for name, value in calibrator.fit(logits[known], labels[known]).items():
        np.testing.assert_allclose(state[name], value, rtol=1e-9)


@EACH
def test_logits_that_separate_the_classes_leave_no_probability_of_0(calibrator):
    labels = np.eye(3)[np.arange(60) % 3]
    found = calibrator.probabilities(4 * labels, calibrator.fit(4 * labels, labels))
    assert (found.argmax(axis=1) == labels.argmax(axis=1)).all()
    assert (found > 0).all()


def test_decisions_do_not_depend_on_a_temperature():
    logits, labels = planted(2000)
    found = SoftmaxTemperature().probabilities(logits, SoftmaxTemperature().fit(logits, labels))
    np.testing.assert_array_equal(found.argsort(axis=1), logits.argsort(axis=1))
