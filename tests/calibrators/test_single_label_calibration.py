import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from cxrbench.calibrators.none import NoCalibrator
from cxrbench.calibrators.softmax_temperature import SoftmaxTemperature
from cxrbench.stages import calibrate
from cxrbench.task import Task

TASK = Task("singlelabel", ("A", "B", "C"))


@pytest.fixture(scope="module")
def overconfident():
    """Logits that are 2.5 times too large, and labels drawn from the honest softmax."""
    rng = np.random.default_rng(3)
    honest = rng.normal(size=(20_000, 3))
    chosen = (rng.random((len(honest), 1)) > softmax(honest, axis=1).cumsum(axis=1)).sum(axis=1)
    return honest * 2.5 + 7, np.eye(3)[chosen]


def test_no_calibrator_gives_the_softmax(overconfident):
    logits = overconfident[0][:50] * 20
    found = NoCalibrator().probabilities(TASK.log_odds(logits), {})
    np.testing.assert_allclose(found, softmax(logits, axis=1), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("rare", [0, 3])
def test_all_classes_are_calibrated_or_none(tmp_path, overconfident, rare):
    """A class with fewer than ten images leaves all probabilities as they are: they sum to 1 either way."""
    logits, labels = overconfident[0][:600], overconfident[1][:600].copy()
    if rare:
        labels[np.flatnonzero(labels[:, 2])[rare:]] = [1, 0, 0]
    patients = pd.Series([f"p{row // 2}" for row in range(600)], index=[f"i{row}" for row in range(600)])
    calibrate.run(tmp_path, SoftmaxTemperature(), TASK, logits, labels, patients, 10)
    state, tune = calibrate.read_state(tmp_path), calibrate.read_tune(tmp_path)
    assert state["fitted"] == [not rare] * 3
    test = calibrate.apply(SoftmaxTemperature(), state, TASK, logits)
    raw = softmax(logits, axis=1)
    for found in (tune, test):
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert np.allclose(found, raw) == bool(rare)
