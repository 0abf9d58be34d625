"""A threshold strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Gt, Lt
from numpy.typing import NDArray

from cxrbench.interfaces import OperatingPoint


@dataclass(frozen=True, kw_only=True)
class Top:
    """Calls the images that score highest (:class:`cxrbench.interfaces.ThresholdStrategy`).

    Attributes:
        share: how many of tune's images are called, of all.
    """

    tasks: ClassVar[frozenset[str]] = frozenset({"multilabel"})

    share: Annotated[float, Gt(0), Lt(1)] = 0.1

    def fit(
        self, probabilities: NDArray[np.float64], labels: NDArray[np.float64], *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """The quantile of each column; labels do not matter."""
        return [OperatingPoint(float(each)) for each in np.quantile(probabilities, 1 - self.share, axis=0)]
