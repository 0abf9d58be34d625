"""As ``precision_f1``, lowered a step where the best F1 stays low."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le

from cxrbench.interfaces import OperatingPoint
from cxrbench.thresholds.precision_f1 import PrecisionF1

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray

_DECIMALS = 10


@dataclass(frozen=True, kw_only=True)
class Dynamic(PrecisionF1):
    """The search of :class:`~cxrbench.thresholds.precision_f1.PrecisionF1`, then a step down for recall.

    Where the best F1 is under ``low_f1`` the threshold is lowered by ``adjustment``. Where 0.5 stands in
    because no threshold reaches the floor, there is no best F1, and 0.5 is lowered too (the source's
    .45 of Pneumonia and of Pleural_Thickening). A step never takes more than half of the threshold, so
    that it stays above 0; with the default options it takes ``adjustment`` in full on the grid
    ``steps``. The lowered threshold may lie under the precision floor: ``feasible`` says whether the
    search reached it.

    Source: Enríquez Rodríguez et al., "Computational vision model for multi-label classification…",
    third strategy, the one of its published thresholds (with a floor of 0.40).

    Attributes:
        low_f1: the F1 under which a threshold is lowered.
        adjustment: by how much.
    """

    low_f1: Annotated[float, Ge(0), Le(1)] = 0.30
    adjustment: Annotated[float, Ge(0), Le(1)] = 0.05

    def fit(
        self, probabilities: FloatArray, labels: FloatArray, *, calibrated: bool
    ) -> Sequence[OperatingPoint]:
        """One operating point for each column of ``probabilities`` and ``labels`` ``[n, c]``."""
        points, f1 = self.search(probabilities, labels, calibrated=calibrated)
        return [
            point if np.isnan(point.threshold) or best >= self.low_f1 else self._lowered(point, float(best))
            for point, best in zip(points, f1, strict=True)
        ]

    def _lowered(self, point: OperatingPoint, best: float) -> OperatingPoint:
        threshold = max(round(point.threshold - self.adjustment, _DECIMALS), point.threshold / 2)
        low = "" if np.isnan(best) else f"best F1 {best:.2f} is under {self.low_f1:g}: "
        reason = f"{low}lowered from {point.threshold:.3g}"
        return replace(point, threshold=threshold, reason="; ".join(filter(None, (point.reason, reason))))
