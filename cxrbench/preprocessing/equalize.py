"""Histogram equalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Equalize:
    """Spreads the greys of each image so that all are about equally frequent, in their order.

    An image of one grey stays as it is.
    """

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image ``[height, width]``, equalised."""
        return np.asarray(ImageOps.equalize(Image.fromarray(image)), dtype=np.uint8)
