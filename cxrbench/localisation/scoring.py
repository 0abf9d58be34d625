"""How well maps find annotated boxes: cut-offs chosen on tune, figures of each pair, and their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.localisation.pairs import Pairs, Window
from cxrbench.statistics.intervals import Interval, percentile_interval
from cxrbench.statistics.localisation import energy, hottest_boxes, overlaps, pointing
from cxrbench.statistics.resamples import Resamples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

CUTOFFS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Intensities, as shares of a map's most, of which the one that suits tune boxes best is taken."""

FIXED_CUTOFF = 0.7
"""Where there are no tune boxes: the higher of ChestX-ray8's two, 180 of 255, as one of :data:`CUTOFFS`."""

LEAST = 10
"""Pairs on tune that a finding needs for a cut-off of its own, and all together for a common one."""

LIMITS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
"""T(IoBB) and T(IoU): a box is right where its overlap is more."""

METRICS = (
    *(f"iobb_{limit:g}" for limit in LIMITS),
    *(f"iou_{limit:g}" for limit in LIMITS),
    "mean_iou",
    "pointing",
    "energy",
)
"""Accuracy at T(IoBB) and at T(IoU), the mean IoU, the pointing game, energy in the box."""

ALL = "mean of findings"
"""What stands for a finding in rows of means over findings, which weigh the same."""


@dataclass(frozen=True)
class Found:
    """What a kind of map finds, at each cut-off.

    Attributes:
        iou: float64 ``[n, k]``.
        iobb: float64 ``[n, k]``.
        pointing: float64 ``[n]``.
        energy: float64 ``[n]``.
        boxes: float64 ``[n, k, 4]``, in shares of the whole image; NaN where a map is 0 everywhere.
    """

    iou: FloatArray
    iobb: FloatArray
    pointing: FloatArray
    energy: FloatArray
    boxes: FloatArray


def found_by(maps: NDArray[np.floating], pairs: Pairs, window: Window) -> Found:
    """What maps ``[n, S, S]`` of the window of each pair's image find."""
    annotated = window.within(pairs.boxes)
    detected = hottest_boxes(maps, CUTOFFS)
    iou, iobb = overlaps(detected, annotated)
    return Found(iou, iobb, pointing(maps, annotated), energy(maps, annotated), window.whole(detected))


def choose_cutoffs(found: Found, pairs: Pairs, findings: Sequence[str]) -> dict[str, int]:
    """The cut-off of each finding, as a place in :data:`CUTOFFS`: the one with the highest mean IoU.

    Not IoBB, which a box of one pixel has most of.

    Args:
        found: of pairs that may be fitted on.
        pairs: those.
        findings: to choose for; one with under :data:`LEAST` pairs gets the cut-off of all together, and all
            together with so few get :data:`FIXED_CUTOFF`.
    """
    common = CUTOFFS.index(FIXED_CUTOFF)
    if len(pairs) >= LEAST:
        common = int(found.iou.mean(axis=0).argmax())
    chosen = {}
    for name in findings:
        own = pairs.findings == name
        chosen[name] = int(found.iou[own].mean(axis=0).argmax()) if own.sum() >= LEAST else common
    return chosen


def mean_iou(found: Found, pairs: Pairs, cutoffs: Mapping[str, int]) -> float:
    """The mean over findings of the mean IoU at each one's cut-off: what layers are chosen by."""
    values = [found.iou[pairs.findings == name, cutoffs[name]].mean() for name in pairs.names]
    return float(np.mean(values)) if values else float("nan")


def figures(found: Found, pairs: Pairs, cutoffs: Mapping[str, int]) -> FloatArray:
    """The figures of each pair at its finding's cut-off, float64 ``[n, len(METRICS)]``."""
    places = np.array([cutoffs[name] for name in pairs.findings], np.int64)
    rows = np.arange(len(pairs))
    return _figures(found.iou[rows, places], found.iobb[rows, places], found.pointing, found.energy)


def best_figures(found: Found) -> FloatArray:
    """The same with, for each pair and measure, whichever cut-off is best: what no rule could beat."""
    return _figures(found.iou.max(axis=1), found.iobb.max(axis=1), found.pointing, found.energy)


def _figures(iou: FloatArray, iobb: FloatArray, pointing: FloatArray, energy: FloatArray) -> FloatArray:
    limits = np.array(LIMITS)
    return np.column_stack([iobb[:, None] > limits, iou[:, None] > limits, iou, pointing, energy])


def summary(values: FloatArray, pairs: Pairs, seed: str) -> pd.DataFrame:
    """Means of figures over each finding's pairs, and over findings, with their intervals.

    Args:
        values: ``[n, len(METRICS)]``; NaN is left out.
        pairs: those.
        seed: of the resamples of patients, such as the passport's id: what is summarised with one seed and
            the same pairs is resampled alike.

    Returns:
        A row a finding and metric: ``finding``, ``metric``, ``value``, ``low``, ``high`` (95% percentiles
        over resampled patients), ``pairs``, ``patients``.
    """
    resamples = Resamples(pairs.patients, seed)
    rows, means, replicates = [], [], []
    for name in pairs.names:
        own = pairs.findings == name
        mean, drawn = _means(values[own], resamples.among(own))
        means.append(mean)
        replicates.append(drawn)
        rows += _rows(name, mean, drawn, int(own.sum()), len(set(pairs.patients[own])))
    if rows:
        everyone = len(set(pairs.patients))
        rows += _rows(ALL, np.mean(means, axis=0), np.mean(replicates, axis=0), len(pairs), everyone)
    return pd.DataFrame(rows, columns=["finding", "metric", "value", "low", "high", "pairs", "patients"])


def mean_with_interval(values: FloatArray, patients: NDArray[np.str_], seed: str) -> tuple[float, Interval]:
    """The mean of values ``[n]`` and its interval over resampled patients ``[n]``; NaN is left out."""
    mean, drawn = _means(values[:, None], Resamples(patients, seed))
    return float(mean[0]), percentile_interval(drawn[0], units=len(set(patients)))


def _means(values: FloatArray, resamples: Resamples) -> tuple[FloatArray, FloatArray]:
    """Means ``[m]`` of the columns, and ``[m, B]`` on each resample."""
    known = ~np.isnan(values)
    filled = np.where(known, values, 0.0)
    drawn = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in resamples.weights():
            of_rows = weights[resamples.rows]
            drawn.append((filled.T @ of_rows) / (known.T.astype(np.float64) @ of_rows))
        return filled.sum(axis=0) / known.sum(axis=0), np.concatenate(drawn, axis=1)


def _rows(
    finding: str, values: FloatArray, replicates: FloatArray, pairs: int, patients: int
) -> list[tuple[str, str, float, float, float, int, int]]:
    rows = []
    for metric, value, drawn in zip(METRICS, values, replicates, strict=True):
        interval = percentile_interval(drawn, units=patients)
        rows.append((finding, metric, float(value), interval.low, interval.high, pairs, patients))
    return rows
