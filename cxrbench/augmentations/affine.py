"""Random crop, rotation and translation, and scale and mirroring where wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Le
from torch import Tensor

from cxrbench.augmentations.warp import spread, warped
from cxrbench.training.views import seen_share


@dataclass(frozen=True, kw_only=True)
class Affine:
    """A crop at a random place, rotated and translated, in one warp.

    Attributes:
        degrees: it is rotated by up to this, either way.
        translation: it is moved by up to this share of its side, right or left, up or down.
        scale: what it shows is magnified or reduced by up to this share.
        mirror: probability that it is mirrored left to right.
    """

    degrees: Annotated[float, Ge(0), Le(180)] = 7.0
    translation: Annotated[float, Ge(0), Le(0.5)] = 0.06
    scale: Annotated[float, Ge(0), Le(0.5)] = 0.0
    mirror: Annotated[float, Ge(0), Le(1)] = 0.0
    draws: ClassVar[int] = 5

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        """The warped crops; ``draws`` are rotation, right, down, scale, mirror.

        The crop's place and the translation are one shift. The crop moves by half of what it leaves out.
        """
        share = seen_share(pixels.shape[-1], size, crop)
        return warped(
            pixels,
            size,
            share,
            angle=spread(draws[:, 0], math.radians(self.degrees)),
            shift=spread(draws[:, 1:3], (1 - share) + 2 * self.translation * share),
            scale=1 + spread(draws[:, 3], self.scale),
            mirrored=draws[:, 4] < self.mirror,
        )
