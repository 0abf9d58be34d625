"""Which findings come together, and which is called where another is present."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Counts of images for each pair of classes, row class first.

    Attributes:
        both: int64 ``[c, c]``, images of ``among`` that have what is asked of the column's class.
        among: int64 ``[c, c]``, images that have what is asked of the row's class, and for which the
            column's class is known.
    """

    both: IntArray
    among: IntArray

    @property
    def rate(self) -> FloatArray:
        """``both / among`` ``[c, c]``, NaN where ``among`` is 0."""
        return ratio(self.both, self.among)


def cooccurrence(table: NDArray[Any]) -> Pairs:
    """How often the column's class is present where the row's is: of labels, or of decisions.

    Args:
        table: ``[n, c]``, 1, 0 or NaN (unknown, undecided).

    Returns:
        ``both`` is symmetric with the classes' own counts on its diagonal.
    """
    return _pairs(table == 1, table == 1, ~np.isnan(table))


def calls_where_present(decisions: NDArray[Any], labels: NDArray[Any]) -> Pairs:
    """How often the column's class is called where the row's is present: the multi-label confusion table.

    The diagonal holds true positives and, as its rate, sensitivity. Beside it are right and wrong calls
    alike, for findings do come together; :func:`false_calls_where_present` has the wrong ones alone.

    Args:
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
    """
    return _pairs(labels == 1, decisions == 1, ~np.isnan(decisions))


def false_calls_where_present(decisions: NDArray[Any], labels: NDArray[Any]) -> Pairs:
    """How often the column's class is called, though absent, where the row's is present.

    A rate above the class's false positive rate over all images says that the row's class is taken for it.

    Args:
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        The diagonal is empty, since no class is both present and absent.
    """
    absent = labels == 0
    return _pairs(labels == 1, absent & (decisions == 1), absent & ~np.isnan(decisions))


def _pairs(given: NDArray[np.bool_], asked: NDArray[np.bool_], eligible: NDArray[np.bool_]) -> Pairs:
    # Products of floats, which BLAS multiplies; whole numbers below 2**53 are exact.
    rows = given.T.astype(np.float64)
    return Pairs(*((rows @ columns).astype(np.int64) for columns in (asked, eligible)))
