"""The augmentation of a study of four classes with networks trained from scratch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import Tensor

from cxrbench.augmentations.grey import contrasted
from cxrbench.augmentations.warp import spread, warped
from cxrbench.training.views import seen_share


@dataclass(frozen=True, kw_only=True)
class FourClassAugmentation:
    """Mirroring, rotation by up to a fifth of a turn, and contrast, as Keras's layers do them.

    The study gives the rotation alone. That half of the images are mirrored and that corners show the image
    reflected are Keras's defaults; the range of the contrast is ours.

    Attributes:
        mirror: probability that an image is mirrored left to right.
        degrees: it is rotated by up to this, either way.
        contrast: distances from its mean are multiplied by 1 ± up to this.
    """

    mirror: Annotated[float, Ge(0), Le(1)] = 0.5
    degrees: Annotated[float, Ge(0), Le(180)] = 72.0
    contrast: Annotated[float, Ge(0), Le(1)] = 0.2
    draws: ClassVar[int] = 5

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        """``draws`` are rotation, the crop's place (right, down), mirror, contrast."""
        share = seen_share(pixels.shape[-1], size, crop)
        view = warped(
            pixels,
            size,
            share,
            angle=spread(draws[:, 0], math.radians(self.degrees)),
            shift=spread(draws[:, 1:3], 1 - share),
            mirrored=draws[:, 3] < self.mirror,
            beyond="reflection",
        )
        return contrasted(view, 1 + spread(draws[:, 4], self.contrast))
