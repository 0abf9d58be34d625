"""Keeping the dark part of an image, as parted by Otsu's threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from annotated_types import Ge, Le
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class OtsuMask:
    """Keeps pixels that are, blurred, under Otsu's threshold; the rest becomes black.

    So lungs and the dark around the body stay; heart, bone and abdomen go. From a study of four classes,
    which leaves the blur's strength open. An image that is of one grey once blurred stays as it is.

    Attributes:
        sigma: standard deviation of the Gaussian blur in pixels of the image as it is stored on disk.
    """

    sigma: Annotated[float, Ge(0), Le(50)] = 1.0

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The image ``[height, width]``, 0 where it is bright."""
        smooth = np.rint(gaussian_filter(image, self.sigma, output=np.float32)).astype(np.uint8)
        return np.where(smooth <= otsu_threshold(smooth), image, np.uint8(0))


def otsu_threshold(image: NDArray[np.uint8]) -> int:
    """The highest grey of the dark class, so parted that the variance between both classes is greatest.

    Otsu 1979, "A threshold selection method from gray-level histograms". The lowest where several part an
    image alike; 255, which parts nothing, where all pixels have one grey.
    """
    counts = np.bincount(image.ravel(), minlength=256).astype(np.float64)
    dark = counts.cumsum()
    bright = image.size - dark
    mass = (counts * np.arange(256)).cumsum()
    parted = (dark > 0) & (bright > 0)
    if not parted.any():
        return 255
    between = np.zeros(256)
    between[parted] = ((mass[-1] * dark / image.size - mass) ** 2)[parted] / (dark * bright)[parted]
    return int(between.argmax())
