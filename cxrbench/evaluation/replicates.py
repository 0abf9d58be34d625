"""Every figure on resamples of the patients: what intervals and paired differences are read from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.evaluation.figures import missed_images
from cxrbench.statistics.bootstrap import Estimate, Replicates, bootstrap
from cxrbench.statistics.decisions import exact_matches
from cxrbench.statistics.delong import auc_covariance
from cxrbench.statistics.intervals import percentile_bounds
from cxrbench.statistics.ranking import coverages, label_ranking_precisions
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.undefined import ratio
from cxrbench.statistics.weighted import Calibration, Decisions, Means, Pooled, Ranking

if TYPE_CHECKING:
    from cxrbench.evaluation.cohort import Cohort
    from cxrbench.interfaces import FloatArray

REPLICATES = 1000
LEVEL = 0.95

_MACRO = {
    "macro_auc": "auc",
    "macro_ap": "ap",
    "macro_f1": "f1",
    "macro_precision": "precision",
    "macro_recall": "recall",
    "macro_specificity": "specificity",
    "macro_mcc": "mcc",
    "auc_binarized": "balanced_accuracy",
    "macro_brier": "brier",
    "macro_ece": "ece",
}
"""Figures over all findings that are means of a figure of each."""

_OF_FINDINGS = ("auc", "ap", "f1")
"""Figures of each finding whose replicates are kept."""


@dataclass(frozen=True)
class Resampled:
    """Figures on resamples of the patients of a test set, thresholds and calibration held fixed.

    Attributes:
        each: those of each finding.
        whole: those over all findings that are not the mean of a figure of each.
        delong: ``[c, 2]``, DeLong's interval of each AUC, on the logit scale; by patient (Obuchowski) where
            patients have several images.
    """

    each: Replicates
    whole: Replicates
    delong: FloatArray

    def overall(self) -> dict[str, Estimate]:
        """Every resampled figure over all findings, by its name in ``metrics``."""
        means = {name: self.each.macro(figure) for name, figure in _MACRO.items()}
        return means | {name: self.whole.finding(name, "all") for name in self.whole.metrics}

    def table(self) -> pd.DataFrame:
        """The replicates that are kept: float32, a row a resample; ``auc:FINDING`` for one finding's."""
        columns = {name: estimate.replicates for name, estimate in self.overall().items()}
        for metric in _OF_FINDINGS:
            for finding in self.each.findings:
                columns[f"{metric}:{finding}"] = self.each.finding(metric, finding).replicates
        return pd.DataFrame(columns, dtype=np.float32)

    def intervals(self) -> dict[str, Any]:
        """Percentile intervals, as JSON; ``units`` are the patients that a figure rests on, null for many."""
        low, high = percentile_bounds(self.each.replicates, LEVEL, self.each.units)
        names = ["auc_binarized" if name == "balanced_accuracy" else name for name in self.each.metrics]
        return {
            "replicates": self.each.replicates.shape[2],
            "level": LEVEL,
            "resamples": self.each.seed,
            "metrics": {name: _interval(estimate) for name, estimate in self.overall().items()},
            "units": {name: estimate.units for name, estimate in self.overall().items()},
            "per_finding": [
                {
                    "finding": finding,
                    "units": self.each.units[column],
                    **{
                        name: {"low": low[row, column], "high": high[row, column]}
                        for row, name in enumerate(names)
                    },
                    "auc_delong": dict(zip(("low", "high"), self.delong[column].tolist(), strict=True)),
                }
                for column, finding in enumerate(self.each.findings)
            ],
        }


def resample(
    cohort: Cohort, probabilities: FloatArray, decisions: FloatArray, replicates: int = REPLICATES
) -> Resampled:
    """Compute all figures on resamples of the cohort's patients, which its passport names.

    Args:
        cohort: the test set.
        probabilities: ``[n, c]``.
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        replicates: how many resamples.
    """
    task, labels = cohort.task, cohort.labels
    resamples = Resamples(cohort.patients.to_numpy(), cohort.passport, replicates)
    each = bootstrap(
        task.classes,
        resamples,
        [
            Ranking(probabilities, labels, resamples),
            Calibration(probabilities, labels, resamples),
            Decisions(decisions, labels, resamples),
        ],
        resamples.units(labels),
    )
    each = centred(each, "ece")
    of_images = {
        "exact_match": exact_matches(decisions, labels),
        "lrap": label_ranking_precisions(probabilities, labels),
        "coverage_error": coverages(probabilities, labels),
        "fnfr": missed_images(task, decisions, labels),
    }
    if task.kind == "singlelabel":
        known = ~(np.isnan(labels) | np.isnan(decisions)).any(axis=1)
        of_images["accuracy"] = np.where(known, ((labels == 1) & (decisions == 1)).any(axis=1), np.nan)
    whole = bootstrap(
        ("all",),
        resamples,
        [Means(of_images, resamples), Pooled(decisions, labels, resamples)],
        np.array([resamples.clusters], np.float64),
    )
    several = cohort.patients.duplicated().any()
    covariance = auc_covariance(
        probabilities[None], labels, cohort.patients.to_numpy(str) if several else None
    )
    delong = [covariance.interval(0, column, LEVEL) for column in range(len(task.classes))]
    return Resampled(each, whole, np.array([[each.low, each.high] for each in delong]))


def centred(found: Replicates, metric: str) -> Replicates:
    """The same with the replicates of a figure moved so that their mean is its value, and none is below 0.

    For calibration errors: resampling adds noise to each bin's gap, whose size counts whatever its sign, so
    replicates lie above the value, for a calibrated system altogether. How far is the bootstrap's estimate of
    the bias (Davison and Hinkley 1997, §2.4); left in, intervals would miss the figure that they are of, and
    differences would favour whoever is worse calibrated.
    """
    row = found.metrics.index(metric)
    replicates = found.replicates.copy()
    replicates[row] = np.maximum(replicates[row] - bias(found, metric)[:, None], 0)
    return replace(found, replicates=replicates)


def bias(found: Replicates, metric: str) -> FloatArray:
    """How far the mean of a figure's replicates is from its value, ``[c]``; NaN where it has none."""
    row = found.metrics.index(metric)
    defined = ~np.isnan(found.replicates[row])
    total = np.where(defined, found.replicates[row], 0).sum(axis=1)
    excess: FloatArray = ratio(total, defined.sum(axis=1)) - found.values[row]
    return excess


def _interval(estimate: Estimate) -> dict[str, float]:
    interval = estimate.interval(LEVEL)
    return {"low": interval.low, "high": interval.high}
