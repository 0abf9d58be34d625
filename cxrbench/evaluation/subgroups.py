"""Figures of groups of patients, and how far each is from the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.evaluation.replicates import bias, centred
from cxrbench.statistics.bootstrap import bootstrap
from cxrbench.statistics.intervals import percentile_bounds
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Calibration, Decisions, Ranking

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.evaluation.cohort import Cohort
    from cxrbench.interfaces import FloatArray

REPLICATES = 200
"""The first of those that the whole test set is resampled with."""

_LEVEL = 0.95
_AGE_BANDS = {"0-17": (0, 18), "18-39": (18, 40), "40-59": (40, 60), "60-79": (60, 80), "80+": (80, np.inf)}
FIGURES = ("auc", "tpr", "fpr", "ece")


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
    group's figure less that of the rest on the same resamples. Where a group or its rest has fewer than
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
    names, labels = cohort.task.classes, cohort.labels
    resamples = Resamples(cohort.patients.to_numpy(), cohort.passport, REPLICATES)
    sides: dict[bytes, _Side] = {}

    def side_of(images: NDArray[np.bool_]) -> _Side:
        """Resampled once: of two groups each is the rest of the other."""
        if images.tobytes() not in sides:
            sides[images.tobytes()] = _resampled(
                probabilities, labels, decisions, images, resamples, max(least, 1)
            )
        return sides[images.tobytes()]

    rows: list[dict[str, Any]] = []
    for group in groups_of(cohort):
        if not group.inside.any():
            continue
        inside, rest = side_of(group.inside), side_of(group.rest)
        there = {
            "attribute": group.attribute,
            "group": group.name,
            "images": int(group.inside.sum()),
            "patients": int(cohort.patients[group.inside].nunique()),
        }
        n_pos, n_neg = ((labels[group.inside] == value).sum(axis=0) for value in (1, 0))
        shown = inside.enough & rest.enough
        rows.append(
            {
                **there,
                "finding": "",
                "n_pos": int(n_pos.sum()),
                "n_neg": int(n_neg.sum()),
                "withheld": int((~shown).sum()),
                **_mean_figures(inside, rest, shown),
            }
        )
        of_findings = _figures(inside.of(shown), rest.of(shown))
        places = np.cumsum(shown) - 1
        for column, name in enumerate(names):
            rows.append(
                {
                    **there,
                    "finding": name,
                    "n_pos": int(n_pos[column]),
                    "n_neg": int(n_neg[column]),
                    "withheld": int(not shown[column]),
                    **({k: v[places[column]] for k, v in of_findings.items()} if shown[column] else {}),
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


@dataclass(frozen=True)
class _Side:
    """A group, or its rest, resampled.

    Attributes:
        enough: bool ``[c]``, which findings have positives and negatives enough; only those are resampled.
        values: ``[f, k]``, the :data:`FIGURES` of these ``k`` findings.
        replicates: ``[f, k, B]``.
        bias: ``[k]``, by how much the calibration error is too large, as the bootstrap estimates it.
        units: ``[k]``, how many patients a finding's figures rest on where they are fewest.
    """

    enough: NDArray[np.bool_]
    values: FloatArray
    replicates: FloatArray
    bias: FloatArray
    units: FloatArray

    def of(self, shown: NDArray[np.bool_]) -> _Part:
        """Some of the findings that are enough, bool ``[c]``."""
        chosen = shown[self.enough]
        biases = np.zeros((len(FIGURES), int(chosen.sum())))
        biases[FIGURES.index("ece")] = self.bias[chosen]
        return _Part(self.values[:, chosen], self.replicates[:, chosen], biases, self.units[chosen])


@dataclass(frozen=True)
class _Part:
    """Of some findings: values and bias ``[f, k]``, replicates ``[f, k, B]`` and units ``[k]``."""

    values: FloatArray
    replicates: FloatArray
    bias: FloatArray
    units: FloatArray


def _resampled(
    probabilities: FloatArray,
    labels: FloatArray,
    decisions: FloatArray,
    images: NDArray[np.bool_],
    resamples: Resamples,
    least: int,
) -> _Side:
    known = labels[images]
    enough = ((known == 1).sum(axis=0) >= least) & ((known == 0).sum(axis=0) >= least)
    count = int(enough.sum())
    if not count:
        nothing = np.empty((len(FIGURES), 0))
        drawn = nothing[..., None].repeat(resamples.replicates, 2)
        return _Side(enough, nothing, drawn, np.empty(0), np.empty(0))
    some, truth = resamples.among(images), known[:, enough]
    scores, called = probabilities[images][:, enough], decisions[images][:, enough]
    found = bootstrap(
        [str(place) for place in range(count)],
        some,
        [Ranking(scores, truth, some), Calibration(scores, truth, some), Decisions(called, truth, some)],
        some.units(truth),
    )
    at = [found.metrics.index(name) for name in ("auc", "recall", "specificity", "ece")]
    replicates = centred(found, "ece").replicates[at]
    values = found.values[at]
    for each in (values, replicates):
        each[2] = 1 - each[2]  # the false positive rate
    return _Side(enough, values, replicates, bias(found, "ece"), found.units)


def _figures(inside: _Part, rest: _Part) -> dict[str, FloatArray]:
    """Each figure ``[k]`` of a group, its gap to the rest, and intervals of both, by column.

    A calibration error is the larger the fewer images it is of; so its gap is corrected for both biases.
    """
    excess = inside.bias - rest.bias
    low, high = percentile_bounds(inside.replicates, _LEVEL, inside.units)
    gaps = inside.replicates - rest.replicates - excess[..., None]
    gap_low, gap_high = percentile_bounds(gaps, _LEVEL, np.minimum(inside.units, rest.units))
    ends = {
        "": inside.values,
        "_low": low,
        "_high": high,
        "_gap": inside.values - rest.values - excess,
        "_gap_low": gap_low,
        "_gap_high": gap_high,
    }
    return {f"{name}{end}": each[row] for row, name in enumerate(FIGURES) for end, each in ends.items()}


def _mean_figures(inside: _Side, rest: _Side, shown: NDArray[np.bool_]) -> dict[str, float]:
    """The same of the mean over the findings shown; a figure that one of them lacks has none."""
    if not shown.any():
        return {}

    def mean(side: _Side) -> _Part:
        part = side.of(shown)
        values, drawn, excess = (
            each.mean(axis=1, keepdims=True) for each in (part.values, part.replicates, part.bias)
        )
        # As cautious as the scarcest finding.
        return _Part(values, drawn, excess, part.units.min(keepdims=True))

    return {name: float(value[0]) for name, value in _figures(mean(inside), mean(rest)).items()}
