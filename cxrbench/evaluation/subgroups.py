"""Figures of groups of patients, and how far each is from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.evaluation.replicates import LEVEL
from cxrbench.statistics.influence import FIGURES, Images, Linear
from cxrbench.statistics.intervals import difference_bounds, share_bounds, t_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.evaluation.cohort import Cohort
    from cxrbench.interfaces import FloatArray

_AGE_BANDS = {"0-17": (0, 18), "18-39": (18, 40), "40-59": (40, 60), "60-79": (60, 80), "80+": (80, np.inf)}


@dataclass(frozen=True)
class Group:
    """Some images of a test set.

    Attributes:
        attribute: what groups are told apart by.
        name: which group.
        inside: bool ``[n]``.
        rest: bool ``[n]``, the images of the attribute's other groups; those whose group is not known are
            in neither.
    """

    attribute: str
    name: str
    inside: NDArray[np.bool_]
    rest: NDArray[np.bool_]


def groups_of(cohort: Cohort) -> list[Group]:
    """Sex, age band, view, and whether the patient has one image in the test set or several."""
    facts, age = cohort.facts, cohort.facts["age"].to_numpy(np.float64)
    several = cohort.patients.duplicated(keep=False).to_numpy()
    by_attribute = {
        "sex": {name: (facts["sex"] == name).to_numpy(bool) for name in ("F", "M")},
        "age": {name: (age >= low) & (age < high) for name, (low, high) in _AGE_BANDS.items()},
        "view": {name: (facts["view"] == name).to_numpy(bool) for name in ("PA", "AP")},
        "images": {"one": ~several, "several": several},
    }
    found = []
    for attribute, groups in by_attribute.items():
        known = np.logical_or.reduce(list(groups.values()))
        found += [Group(attribute, name, inside, known & ~inside) for name, inside in groups.items()]
    return found


def subgroups_table(
    cohort: Cohort, probabilities: FloatArray, decisions: FloatArray, least: int
) -> pd.DataFrame:
    """AUC, TPR, FPR and ECE of each finding in each group, their gaps to the rest, and intervals of both.

    A row without a finding holds the mean over the findings that are shown for the group. A gap is the
    group's figure less that of the rest; intervals take patients as units, see
    :mod:`cxrbench.statistics.influence`. Where a group or its rest has fewer than
    ``least`` (and less than one) positives or negatives of a finding, its figures are withheld: NaN, and
    ``withheld`` says so.

    Args:
        cohort: the test set.
        probabilities: ``[n, c]``.
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        least: the smallest number of positives, and of negatives.

    Returns:
        Columns attribute, group, finding, images, patients, n_pos, n_neg, withheld, then for each of
        :data:`FIGURES` its value, ``_low``, ``_high``, ``_gap``, ``_gap_low`` and ``_gap_high``. A row of all
        findings counts those withheld. Groups without an image are left out.
    """
    names, labels, least = cohort.task.classes, cohort.labels, max(least, 1)
    patients, places = np.unique(cohort.patients.to_numpy(str), return_inverse=True)
    images = Images(probabilities, labels, decisions, places, len(patients))

    @lru_cache(maxsize=2)  # of two groups each is the rest of the other
    def side_of(chosen: bytes) -> tuple[NDArray[np.bool_], Linear]:
        """Which findings have labels enough among these images, and their figures."""
        some = np.frombuffer(chosen, np.bool_)
        enough = ((labels[some] == 1).sum(axis=0) >= least) & ((labels[some] == 0).sum(axis=0) >= least)
        return enough, images.of(some, enough)

    rows: list[dict[str, Any]] = []
    for group in groups_of(cohort):
        if not group.inside.any():
            continue
        (enough, inside), (enough_in_rest, rest) = (
            side_of(each.tobytes()) for each in (group.inside, group.rest)
        )
        there = {
            "attribute": group.attribute,
            "group": group.name,
            "images": int(group.inside.sum()),
            "patients": len(np.unique(places[group.inside])),
        }
        n_pos, n_neg = ((labels[group.inside] == value).sum(axis=0) for value in (1, 0))
        shown = enough & enough_in_rest
        inside, rest = inside.only(shown), rest.only(shown)
        of_findings = _figures(inside, rest)
        of_mean = _figures(inside.mean(), rest.mean()) if shown.any() else {}
        rows.append(
            {
                **there,
                "finding": "",
                "n_pos": int(n_pos.sum()),
                "n_neg": int(n_neg.sum()),
                "withheld": int((~shown).sum()),
                **{name: each[0] for name, each in of_mean.items()},
            }
        )
        kept = np.cumsum(shown) - 1
        for column, name in enumerate(names):
            rows.append(
                {
                    **there,
                    "finding": name,
                    "n_pos": int(n_pos[column]),
                    "n_neg": int(n_neg[column]),
                    "withheld": int(not shown[column]),
                    **({k: v[kept[column]] for k, v in of_findings.items()} if shown[column] else {}),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


COLUMNS = (
    *("attribute", "group", "finding", "images", "patients", "n_pos", "n_neg", "withheld"),
    *(f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high", "_gap", "_gap_low", "_gap_high")),
)


def subgroups_summary(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of all findings, as JSON."""
    whole = table[table["finding"] == ""].drop(columns="finding")
    return [{str(name): value for name, value in row.items()} for row in whole.to_dict("records")]


def _figures(inside: Linear, rest: Linear) -> dict[str, FloatArray]:
    """Each figure ``[k]`` of a group, its gap to the rest, and intervals of both, by column.

    A calibration error is the larger the fewer images it is of; so its gap is corrected for both biases.
    """
    bounds = _bounds(inside), _bounds(rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(inside.covariance(inside) * rest.covariance(rest))
        correlations = np.where(scale > 0, inside.covariance(rest) / scale, 0)
    excess = inside.bias - rest.bias
    gap_low, gap_high = difference_bounds((inside.values, rest.values), bounds, correlations)
    (low, high), error = bounds[0], FIGURES.index("ece")
    low[error] = np.maximum(low[error], 0)
    ends = {
        "": inside.values,
        "_low": low,
        "_high": high,
        "_gap": inside.values - rest.values - excess,
        "_gap_low": gap_low - excess,
        "_gap_high": gap_high - excess,
    }
    return {f"{name}{end}": each[row] for row, name in enumerate(FIGURES) for end, each in ends.items()}


def _bounds(side: Linear) -> tuple[FloatArray, FloatArray]:
    """Intervals ``[f, k]``: Wilson's of shares, Student's of the calibration error."""
    variances, error = side.covariance(side), FIGURES.index("ece")
    low, high = share_bounds(side.values, variances, side.units, LEVEL)
    reach = t_quantile(side.units[error], LEVEL) * np.sqrt(variances[error])
    low[error], high[error] = side.values[error] - reach, side.values[error] + reach
    return low, high
