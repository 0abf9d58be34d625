"""What a finding lacks to fit a threshold on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.interfaces import OperatingPoint

if TYPE_CHECKING:
    from cxrbench.statistics.sweep import Sweep


def missing(swept: Sweep, column: int) -> str:
    """Which labels a column has none of; empty where it has both."""
    positives, negatives = swept.positives[column], swept.negatives[column]
    if positives and negatives:
        return ""
    if positives or negatives:
        return "no negative" if positives else "no positive"
    return "no known label"


def no_threshold(lacking: str) -> OperatingPoint:
    """The point of a finding that lacks what :func:`missing` says."""
    return OperatingPoint(np.nan, feasible=False, reason=f"{lacking} to fit on: no threshold")
