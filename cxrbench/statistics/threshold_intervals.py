"""How far the thresholds of a strategy would move with other patients on tune."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.intervals import Interval, percentile_interval
from cxrbench.statistics.resamples import Resamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray, ThresholdStrategy


@dataclass(frozen=True, slots=True)
class ThresholdReplicates:
    """The operating points of a strategy fitted on each resample of tune's patients.

    Attributes:
        thresholds: float64 ``[c, B]``; NaN where a resample has no threshold.
        feasible: float64 ``[c]``, the share of resamples whose point is feasible.
    """

    thresholds: FloatArray
    feasible: FloatArray

    def intervals(self, level: float = 0.95) -> list[Interval]:
        """Percentile interval of the threshold of each class.

        Thresholds of points that are not feasible count as what they are, since they would be used. A
        threshold is a score or a step of a grid and often the best of many near-equal ones: the interval says
        how stable it is, and does not promise to hold a true threshold at the level.
        """
        return [percentile_interval(each, level) for each in self.thresholds]


def threshold_replicates(
    strategy: ThresholdStrategy,
    probabilities: FloatArray,
    labels: FloatArray,
    patients: Sequence[Any] | NDArray[Any],
    *,
    calibrated: bool,
    seed: str,
    replicates: int = 200,
) -> ThresholdReplicates:
    """Fit a strategy anew on resamples of patients, each with all its images.

    Network and calibration are held fixed. A strategy is anybody's code, so each resample is one fit, on
    images repeated as often as they are drawn.

    Args:
        strategy: what fits the thresholds.
        probabilities: ``[n, c]`` of tune.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        patients: ``[n]``, the patient of each image.
        calibrated: whether the probabilities went through a calibrator.
        seed: names the resamples, see :class:`~cxrbench.statistics.resamples.Resamples`.
        replicates: how many.
    """
    resamples = Resamples(patients, seed, replicates)
    fits = []
    for weights in resamples.weights():
        for drawn in weights[resamples.rows].T.astype(np.int64):
            rows = np.repeat(np.arange(len(drawn)), drawn)
            fits.append(strategy.fit(probabilities[rows], labels[rows], calibrated=calibrated))
    return ThresholdReplicates(
        np.array([[point.threshold for point in points] for points in fits], np.float64).T,
        np.array([[point.feasible for point in points] for points in fits], np.float64).mean(axis=0),
    )
