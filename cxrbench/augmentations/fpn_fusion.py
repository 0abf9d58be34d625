"""The training transform published with the DenseNet121 with a feature pyramid and patient data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from torch import Tensor

from cxrbench.augmentations.grey import blurred
from cxrbench.augmentations.warp import spread, warped
from cxrbench.training.views import seen_share


@dataclass(frozen=True, kw_only=True)
class FpnFusionAugmentation:
    """Random crop, rotation, translation, and at times a Gaussian blur.

    The published transform rotates the crop after cutting it out, which leaves black corners; here both
    are one warp, and the corners show what lies beyond the crop.

    Attributes:
        degrees: the crop is rotated by up to this, either way.
        translation: and moved by up to this share of its side, right or left, up or down.
        blur: probability of a blur.
        sigma_low: standard deviation of the weakest blur in pixels of the network's input.
        sigma_high: and of the strongest.
        kernel: side of the blur's kernel in pixels.
    """

    degrees: Annotated[float, Ge(0), Le(180)] = 7.0
    translation: Annotated[float, Ge(0), Le(0.5)] = 0.06
    blur: Annotated[float, Ge(0), Le(1)] = 0.4
    sigma_low: Annotated[float, Gt(0)] = 0.2
    sigma_high: Annotated[float, Gt(0)] = 1.5
    kernel: Literal[3, 5, 7, 9] = 3
    draws: ClassVar[int] = 7

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        """``draws`` are rotation, the crop's place (right, down), translation (right, down), blur, sigma."""
        share = seen_share(pixels.shape[-1], size, crop)
        place = spread(draws[:, 1:3], 1 - share)
        view = warped(
            pixels,
            size,
            share,
            angle=spread(draws[:, 0], math.radians(self.degrees)),
            shift=place + spread(draws[:, 3:5], 2 * self.translation * share),
        )
        sigma = self.sigma_low + draws[:, 6] * (self.sigma_high - self.sigma_low)
        return blurred(view, sigma, draws[:, 5] < self.blur, self.kernel)
