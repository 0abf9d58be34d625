"""No augmentation: training sees what evaluation sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cxrbench.training.views import central_view


@dataclass(frozen=True, kw_only=True)
class NoAugmentation:
    """The central crop, as in evaluation."""

    draws: ClassVar[int] = 0

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        """See :func:`cxrbench.training.views.central_view`."""
        return central_view(pixels, size, crop)
