"""Patients with more errors than the others: by sex, age, view, and by what else is present."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from cxrbench.error_analysis.panel import DECISIONS, IMAGES, Panel
from cxrbench.evaluation.replicates import LEVEL
from cxrbench.evaluation.subgroups import groups_of
from cxrbench.statistics.comparison import holm
from cxrbench.statistics.intervals import difference_bounds, share_bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

LEAST = 10
"""Patients that a slice, and the rest, need to be told."""

ALL_RUNS = "mean of all"

COLUMNS = (
    *("of", "attribute", "slice", "run", "images", "patients", "error", "rest", "excess", "low", "high", "p"),
    *("p_holm", "excess_errors"),
)


@dataclass(frozen=True)
class _Slice:
    """Some images, and those they are held against."""

    of: str
    attribute: str
    name: str
    inside: NDArray[np.bool_]
    rest: NDArray[np.bool_]


def slices_table(panel: Panel) -> pd.DataFrame:
    """Error rates in slices, and how far they are above those of the rest; the largest lower ends first.

    Errors are ``of`` all decisions on an image (multi-label: their share that is wrong; of one right class:
    whether the image is wrong), and of each finding those that miss it where it is present. Slices are by
    sex, age band, view and whether a patient has several images; a pair holds images with both findings
    against those with the first but not the second. Intervals and p take patients as units; ``p_holm`` is
    adjusted over all slices of a run. ``excess_errors`` is ``excess`` times images.

    Columns: :data:`COLUMNS`; ``run`` is a run's id or, of several, their mean. Slices of fewer than
    :data:`LEAST` patients, inside or in the rest, are left out.
    """
    patients, places = np.unique(panel.cohort.patients.to_numpy(str), return_inverse=True)
    names = [member.run_id for member in panel.members]
    if len(names) > 1:
        names = [ALL_RUNS, *names]
    errors = {of: _with_mean(values) for of, values in _errors(panel)}
    rows: list[dict[str, Any]] = []
    for each in _slices(panel):
        counts = [np.unique(places[side]).size for side in (each.inside, each.rest)]
        if min(counts) < LEAST:
            continue
        for run, error in zip(names, errors[each.of], strict=True):
            rows.append(
                {
                    "of": each.of,
                    "attribute": each.attribute,
                    "slice": each.name,
                    "run": run,
                    "images": int(each.inside.sum()),
                    "patients": counts[0],
                    **_excess(error, each.inside, each.rest, places, len(patients)),
                }
            )
    table = pd.DataFrame(rows, columns=COLUMNS)
    for run in names:
        of_run = table["run"] == run
        table.loc[of_run, "p_holm"] = holm(table.loc[of_run, "p"].to_numpy(np.float64))
    table["excess_errors"] = table["excess"] * table["images"]
    return table.sort_values("low", ascending=False, kind="stable", ignore_index=True)


def _errors(panel: Panel) -> Iterator[tuple[str, FloatArray]]:
    """How wrong each run is about each image, ``[m, n]``, 0..1."""
    counted = panel.counted
    if panel.multilabel:
        shares: FloatArray = panel.wrong.sum(axis=2) / np.maximum(counted.sum(axis=1), 1)
        yield DECISIONS, shares
    else:
        yield IMAGES, np.asarray(panel.wrong.any(axis=2), np.float64)
    for column, finding in enumerate(panel.classes):
        yield finding, panel.wrong[:, :, column].astype(np.float64)


def _with_mean(errors: FloatArray) -> FloatArray:
    """Those of each run and, of several, their mean before them."""
    return errors if len(errors) == 1 else np.concatenate([errors.mean(axis=0, keepdims=True), errors])


def _slices(panel: Panel) -> Iterator[_Slice]:
    cohort, counted = panel.cohort, panel.counted
    present = (cohort.labels == 1) & counted
    known = ~np.isnan(cohort.labels)
    whole = DECISIONS if panel.multilabel else IMAGES
    for group in groups_of(cohort):
        there = counted.any(axis=1)
        yield _Slice(whole, group.attribute, group.name, group.inside & there, group.rest & there)
        for column, finding in enumerate(panel.classes):
            there = present[:, column]
            yield _Slice(finding, group.attribute, group.name, group.inside & there, group.rest & there)
    if panel.multilabel:
        for column, finding in enumerate(panel.classes):
            for other, second in enumerate(panel.classes):
                if other != column:
                    there = present[:, column] & known[:, other]
                    both = there & (cohort.labels[:, other] == 1)
                    yield _Slice(finding, "pair", f"{finding} + {second}", both, there & ~both)


def _excess(
    error: FloatArray,
    inside: NDArray[np.bool_],
    rest: NDArray[np.bool_],
    places: NDArray[np.int64],
    patients: int,
) -> dict[str, float]:
    """Error rates, their difference, and its interval and p, with patients as units.

    A patient's share in a rate is the sum over their images of ``(e - mean) / n``; variances and the
    covariance of both rates are ``k / (k - 1)`` times sums of products of these, ``k`` being the number of
    patients. Wilson's intervals of both are joined into that of the difference, so that a slice in which all
    are missed is not taken for certain. The p is that of Student's t with the difference as many standard
    errors from 0 as its reach towards 0 says.
    """
    used = np.flatnonzero(np.bincount(places[inside | rest], minlength=patients))
    values, variances, units, of_patients = [], [], [], []
    for side in (inside, rest):
        mean = error[side].mean()
        summed = np.bincount(places[side], weights=error[side] - mean, minlength=patients) / side.sum()
        count = float(np.unique(places[side]).size)
        values.append(np.asarray(mean))
        variances.append(np.asarray(count / (count - 1) * (summed**2).sum()))
        units.append(np.asarray(count))
        of_patients.append(summed[used])
    scale = np.sqrt(np.prod([(each**2).sum() for each in of_patients]))
    correlation = np.asarray(of_patients[0] @ of_patients[1] / scale if scale else 0.0)
    bounds = [
        share_bounds(value, variance, count_of, LEVEL)
        for value, variance, count_of in zip(values, variances, units, strict=True)
    ]
    low, high = difference_bounds((values[0], values[1]), (bounds[0], bounds[1]), correlation)
    excess, freedom = float(values[0] - values[1]), float(min(units)) - 1
    reach = excess - float(low) if excess > 0 else float(high) - excess
    distance = abs(excess) / reach * stats.t.ppf((1 + LEVEL) / 2, freedom) if reach > 0 else np.nan
    return {
        "error": float(values[0]),
        "rest": float(values[1]),
        "excess": excess,
        "low": float(low),
        "high": float(high),
        "p": float(2 * stats.t.sf(distance, freedom)),
    }
