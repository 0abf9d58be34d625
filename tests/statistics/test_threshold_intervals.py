"""Intervals of thresholds: of a strategy whose resamples are known, and against a plain loop."""

import numpy as np
import pytest

from cxrbench.interfaces import OperatingPoint
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.threshold_intervals import threshold_replicates
from cxrbench.thresholds.fixed import Fixed
from cxrbench.thresholds.sensitivity import Sensitivity
from cxrbench.thresholds.youden import Youden


class MeanScore:
    """The mean probability, feasible where it is above .5."""

    tasks = frozenset({"multilabel"})

    def fit(self, probabilities, labels, *, calibrated):
        means = probabilities.mean(axis=0)
        return [OperatingPoint(float(mean), bool(mean > 0.5), "low" if mean <= 0.5 else "") for mean in means]


def study(patients=300, images=3, seed=0):
    """Scores that patients share, with labels of two findings."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(patients), images)
    labels = (rng.random((len(who), 2)) < [0.3, 0.1]).astype(float)
    of_patient = rng.normal(size=(patients, 2))[who]
    scores = of_patient + 0.5 * rng.normal(size=labels.shape) + 1.5 * labels
    return 1 / (1 + np.exp(-scores)), labels, who


def test_each_replicate_is_a_fit_on_the_images_of_the_patients_drawn():
    probabilities, labels, who = study(40)
    found = threshold_replicates(
        Youden(), probabilities, labels, who, calibrated=True, seed="a", replicates=70
    )
    resamples = Resamples(who, "a", 70)
    drawn = np.hstack(list(resamples.weights()))[resamples.rows]
    for b in (0, 69):
        rows = [image for image in range(len(who)) for _ in range(int(drawn[image, b]))]
        points = Youden().fit(probabilities[rows], labels[rows], calibrated=True)
        assert found.thresholds[:, b].tolist() == [point.threshold for point in points]


def test_the_interval_of_a_mean_score_is_as_wide_as_that_of_a_mean_over_patients():
    probabilities, labels, who = study()
    found = threshold_replicates(
        MeanScore(), probabilities, labels, who, calibrated=True, seed="a", replicates=1000
    )
    of_patients = probabilities.reshape(300, 3, 2).mean(axis=1)
    reach = 1.96 * of_patients.std(axis=0, ddof=1) / np.sqrt(300)
    for column, interval in enumerate(found.intervals()):
        mean = probabilities[:, column].mean()
        assert (interval.high - interval.low) / 2 == pytest.approx(reach[column], rel=0.1)
        assert (interval.low + interval.high) / 2 == pytest.approx(mean, abs=0.1 * reach[column])
    np.testing.assert_allclose(found.feasible, (found.thresholds > 0.5).mean(axis=1))


def test_a_threshold_that_never_moves_has_no_width():
    (interval, _) = threshold_replicates(Fixed(), *study(20), calibrated=False, seed="a").intervals()
    assert (interval.low, interval.high, interval.replicates) == (0.5, 0.5, 200)


def test_more_patients_narrow_the_interval():
    few, many = (
        threshold_replicates(Sensitivity(), *study(patients), calibrated=True, seed="a").intervals()[0]
        for patients in (100, 1600)
    )
    assert 2 < (few.high - few.low) / (many.high - many.low) < 8


def test_a_finding_without_positives_has_no_interval():
    probabilities, labels, who = study(20)
    labels[:, 1] = 0
    found = threshold_replicates(Sensitivity(), probabilities, labels, who, calibrated=True, seed="a")
    assert np.isnan(found.intervals()[1].low)
    assert found.feasible[1] == 0
