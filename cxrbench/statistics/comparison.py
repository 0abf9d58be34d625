"""Whether one figure differs from another: paired differences, Holm's adjustment, groups of ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.errors import CxrbenchError
from cxrbench.statistics.intervals import MAX_UNDEFINED, Interval, percentile_interval

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray
    from cxrbench.statistics.bootstrap import Estimate


@dataclass(frozen=True, slots=True)
class Difference:
    """The figure of ``a`` less that of ``b``.

    Attributes:
        value: the difference.
        interval: of the difference.
        p: two-sided, of no difference; NaN where it cannot be told.
        with_seeds: whether interval and p hold the variance between seeds; without, they are about the very
            networks compared, and say nothing of what another seed would give.
    """

    value: float
    interval: Interval
    p: float
    with_seeds: bool


def paired_difference(a: Estimate, b: Estimate, level: float = 0.95) -> Difference:
    """Difference of two trained networks on the same test set, over resampled patients.

    Both are resampled together, so what is hard for both cancels. The p-value inverts the percentile
    interval: twice the share of replicates on the far side of 0, with one added above and below so that it
    is never 0 (Davison and Hinkley, "Bootstrap Methods and Their Application", 1997, §4.4.1). It is about
    these two networks: what another seed would give is another source of variance, see
    :mod:`cxrbench.statistics.systems`.

    Raises:
        CxrbenchError: the replicates are not of the same resamples or findings.
    """
    require_paired([a, b])
    gaps = a.replicates - b.replicates
    defined = gaps[~np.isnan(gaps)]
    p = math.nan
    if defined.size >= (1 - MAX_UNDEFINED) * gaps.size > 0:
        far_side = min((defined <= 0).sum(), (defined >= 0).sum())
        p = min(1.0, 2 * float(far_side + 1) / (defined.size + 1))
    interval = percentile_interval(gaps, level, min(a.units, b.units))
    return Difference(a.value - b.value, interval, p, with_seeds=False)


def require_paired(estimates: Sequence[Estimate]) -> None:
    """Refuse estimates that cannot be subtracted.

    Raises:
        CxrbenchError: they are not of the same resamples or findings.
    """
    if len({(each.seed, each.replicates.size) for each in estimates}) > 1:
        raise CxrbenchError(
            "These figures rest on different resamples, so they cannot be paired; evaluate both on the same "
            "test set with as many replicates."
        )
    if len({each.findings for each in estimates}) > 1:
        raise CxrbenchError(
            "These averages cover different findings, so they cannot be compared; average over the findings "
            "that are defined for all of them."
        )


def holm(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjustment of p-values for testing several hypotheses.

    Rejecting where the adjusted p is at most alpha keeps the chance of any false rejection at alpha, however
    the tests depend on each other.

    ``adjusted_(i) = max over j <= i of min(1, (m - j + 1) p_(j))`` for ascending ``p_(1) .. p_(m)``. Holm,
    "A Simple Sequentially Rejective Multiple Test Procedure", 1979.

    Args:
        p_values: ``[m]``; NaN stays NaN and does not count.

    Returns:
        float64 ``[m]``.
    """
    adjusted = np.full(len(p_values), np.nan)
    defined = np.flatnonzero(~np.isnan(p_values))
    order = defined[np.argsort(p_values[defined], kind="stable")]
    steps = np.arange(len(order), 0, -1) * p_values[order]
    adjusted[order] = np.maximum.accumulate(np.minimum(steps, 1.0))
    return adjusted


def tie_groups(values: FloatArray, p_values: FloatArray, alpha: float = 0.05) -> list[int | None]:
    """Groups of systems that the data do not tell apart, in place of ranks.

    The best system leads group 1. Every other one is compared with it, the p-values adjusted by Holm; those
    that do not differ share its group. The best of the rest leads group 2 and is compared with the rest, and
    so on. Being alike is not transitive, so two systems of one group may differ from each other: a group says
    "not shown to differ from its leader". The chance of a false difference is held at ``alpha`` for each
    leader.

    Args:
        values: ``[k]``, larger is better; NaN where a system is not to be placed.
        p_values: ``[k, k]``, symmetric, of each pair; NaN counts as not different.
        alpha: level of each leader's comparisons.

    Returns:
        The group of each system, 1 for the best; None where it is not placed. Of equal values the earlier
        system leads.
    """
    groups: list[int | None] = [None] * len(values)
    left = [int(k) for k in np.argsort(-values, kind="stable") if not math.isnan(values[k])]
    group = 0
    while left:
        group += 1
        leader, others = left[0], left[1:]
        adjusted = holm(p_values[leader, others])
        groups[leader], left = group, []
        for other, p in zip(others, adjusted.tolist(), strict=True):
            if p <= alpha:
                left.append(other)
            else:
                groups[other] = group
    return groups
