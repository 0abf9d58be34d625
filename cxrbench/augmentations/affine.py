"""Random crop, rotation and translation in one warp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cxrbench.training.views import augmented_view


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A crop at a random place, rotated and translated."""

    draws: ClassVar[int] = 3

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        """See :func:`cxrbench.training.views.augmented_view`."""
        return augmented_view(pixels, size, draws)
