"""Maps that no network made: what pointing anywhere, or always at the same place, would achieve."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.localisation.pairs import Pairs, Window
from cxrbench.statistics.localisation import coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Maps = NDArray[np.float32]

CENTRE_SPREAD = 0.25
"""Standard deviation of the centre prior, in shares of the side."""


def random_maps(pairs: Pairs, grid: tuple[int, int], size: int) -> Maps:
    """Uniform random numbers on the layer's grid, brought to the images' size as explainers' maps are.

    They follow from image and finding alone.
    """
    drawn = np.empty((len(pairs), *grid))
    for row, text in enumerate(zip(pairs.image_ids, pairs.findings, strict=True)):
        seed = hashlib.blake2b("\0".join(text).encode(), digest_size=8).digest()
        drawn[row] = np.random.default_rng(int.from_bytes(seed, "big")).random(grid)
    return enlarged(drawn, size)


def centre_maps(pairs: Pairs, size: int) -> Maps:
    """A Gaussian round the centre of what the network sees, the same for every pair; on the finest grid."""
    offsets = (np.arange(size) + 0.5) / size - 0.5
    across = np.exp(-0.5 * (offsets / CENTRE_SPREAD) ** 2)
    return _repeated(np.outer(across, across), len(pairs))


def place_maps(pairs: Pairs, known: Pairs, window: Window, size: int) -> Maps:
    """The mean of the boxes of the pair's finding in images that may be fitted on, on the finest grid.

    Of a finding without boxes there it is a map of zeros, which points nowhere.
    """
    maps = np.zeros((len(pairs), size, size), np.float32)
    for name in pairs.names:
        boxes = known.boxes[known.findings == name]
        if len(boxes):
            mean = coverage(window.within(boxes), (size, size)).mean(axis=0)
            if mean.max() > 0:
                maps[pairs.findings == name] = mean / mean.max()
    return maps


def ideal_maps(pairs: Pairs, grid: tuple[int, int], window: Window, size: int) -> Maps:
    """The annotated boxes on the layer's grid, brought to the images' size as explainers' maps are.

    Each cell is the share of it that is covered: the best that a network could do by such a layer.
    """
    return enlarged(coverage(window.within(pairs.boxes), grid), size)


def enlarged(maps: NDArray[np.float64], size: int) -> Maps:
    """Maps ``[n, h, w]`` as explainers' are: from 0 to 1, bilinearly brought to ``[n, size, size]``."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    if not len(maps):
        return np.zeros((0, size, size), np.float32)
    # Twice, as the library does it: enlarged maps start above 0 and end below 1.
    return np.asarray(scale_cam_image(scale_cam_image(maps, (size, size))), np.float32)


def _repeated(one: NDArray[np.float64], count: int) -> Maps:
    scaled = (one / one.max()).astype(np.float32)
    return np.broadcast_to(scaled, (count, *scaled.shape))
