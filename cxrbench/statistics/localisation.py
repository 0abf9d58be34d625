"""How well heatmaps point at annotated boxes: overlap of boxes, the pointing game, energy in the box.

Boxes are ``(left, top, right, bottom)`` in shares of the side of what the map covers; annotated ones may
reach beyond it. An image may have several boxes of one finding: arrays of annotated boxes are
``[n, m, 4]``, filled up with NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


_IN_PLANE = np.zeros((3, 3, 3), bool)
_IN_PLANE[1] = ndimage.generate_binary_structure(2, 1)


def hottest_boxes(maps: NDArray[np.floating], cutoffs: Sequence[float]) -> FloatArray:
    """The box round the hottest region of each map, at each intensity cut-off.

    The region is what is connected (by sides of pixels) to the hottest pixel, the first of several, among
    pixels of at least ``cutoff`` times its heat. ChestX-ray8 (Wang et al. 2017, §4.2) boxes such regions
    at two fixed cut-offs.

    Args:
        maps: ``[n, S, S]``, at least 0.
        cutoffs: ``[k]``, in 0..1.

    Returns:
        float64 ``[n, k, 4]``; NaN where a map is 0 everywhere, or has no finite values.
    """
    height, width = maps.shape[1:]
    boxes = np.full((len(maps), len(cutoffs), 4), np.nan)
    levels = np.asarray(cutoffs, np.float32)[:, None, None]
    for index, heat in enumerate(np.asarray(maps, np.float32)):
        row, column = divmod(int(heat.argmax()), width)
        most = heat[row, column]
        if not (np.isfinite(most) and most > 0):
            continue
        # All cut-offs at once: planes of one solid that do not touch each other.
        regions, _ = ndimage.label(heat >= levels * most, _IN_PLANE)
        region = regions == regions[:, row, column][:, None, None]
        across, down = region.any(axis=1), region.any(axis=2)
        boxes[index] = np.column_stack(
            [
                across.argmax(axis=1) / width,
                down.argmax(axis=1) / height,
                1 - across[:, ::-1].argmax(axis=1) / width,
                1 - down[:, ::-1].argmax(axis=1) / height,
            ]
        )
    return boxes


def overlaps(detected: FloatArray, annotated: FloatArray) -> tuple[FloatArray, FloatArray]:
    """IoU and IoBB of each detected box with the annotated one that it meets best.

    IoU is the intersection over the union; IoBB, of ChestX-ray8, the intersection over the *detected* box, so
    that a small box inside an annotated one has all of it.

    Args:
        detected: ``[n, 4]`` or ``[n, k, 4]``; NaN where nothing was detected.
        annotated: ``[n, m, 4]``.

    Returns:
        IoU and IoBB, each float64 of the shape of ``detected`` less its last axis, each the most over the
        annotated boxes; 0 where nothing was detected.
    """
    one = detected if detected.ndim == 3 else detected[:, None]
    mine, theirs = one[:, :, None], annotated[:, None]
    corner = np.maximum(mine[..., :2], theirs[..., :2])
    sides = np.minimum(mine[..., 2:], theirs[..., 2:]) - corner
    shared = np.where((sides > 0).all(axis=-1), sides.prod(axis=-1), 0.0)
    area, annotated_area = _areas(mine), _areas(theirs)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou = np.nan_to_num(shared / (area + annotated_area - shared)).max(axis=2, initial=0.0)
        iobb = np.nan_to_num(shared / area).max(axis=2, initial=0.0)
    return (iou, iobb) if detected.ndim == 3 else (iou[:, 0], iobb[:, 0])


def _areas(boxes: FloatArray) -> FloatArray:
    areas: FloatArray = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return areas


def coverage(annotated: FloatArray, grid: tuple[int, int]) -> FloatArray:
    """The share of each cell of a grid that annotated boxes cover: float64 ``[n, h, w]``.

    Where boxes of an image overlap within a cell, what they cover of it is at most added up, and at most 1.
    """
    height, width = grid
    down = _covered(annotated[..., 1], annotated[..., 3], height)
    across = _covered(annotated[..., 0], annotated[..., 2], width)
    covered: FloatArray = np.minimum(np.einsum("nmh,nmw->nhw", down, across), 1.0)
    return covered


def _covered(start: FloatArray, end: FloatArray, cells: int) -> FloatArray:
    """The share of each of the cells ``[..., cells]`` of a line that is between start and end."""
    edges = np.arange(cells + 1) / cells
    low, high = np.maximum(start[..., None], edges[:-1]), np.minimum(end[..., None], edges[1:])
    covered: FloatArray = np.nan_to_num(np.clip((high - low) * cells, 0, None))
    return covered


def pointing(maps: NDArray[np.floating], annotated: FloatArray) -> FloatArray:
    """The pointing game (Zhang et al. 2016): whether the hottest pixel is in an annotated box.

    Its centre counts, without the margin around the box that the paper allows; the first one where several
    pixels are hottest. A map of zeros points nowhere and misses.

    Returns:
        float64 ``[n]``, 1 or 0.
    """
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), height * width)
    row, column = np.divmod(flat.argmax(axis=1), width)
    y, x = ((row + 0.5) / height)[:, None], ((column + 0.5) / width)[:, None]
    left, top, right, bottom = np.moveaxis(annotated, -1, 0)
    # Comparisons with NaN are false.
    inside = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).any(axis=1)
    hits: FloatArray = (inside & (flat.max(axis=1) > 0)).astype(np.float64)
    return hits


def energy(maps: NDArray[np.floating], annotated: FloatArray) -> FloatArray:
    """The share of a map's heat that is inside annotated boxes (Wang et al. 2020, Score-CAM, §4.3).

    Pixels count by the share of them that is inside.

    Returns:
        float64 ``[n]``; NaN for a map of zeros.
    """
    inside = coverage(annotated, (maps.shape[1], maps.shape[2]))
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: FloatArray = np.where(total > 0, (maps * inside).sum(axis=(1, 2)) / total, np.nan)
    return shares


def rank_correlations(one: NDArray[np.floating], other: NDArray[np.floating]) -> FloatArray:
    """Spearman's rank correlation of each pair of maps ``[n, h, w]``, pixel by pixel: float64 ``[n]``.

    NaN where either map has one value everywhere.
    """
    from scipy.stats import rankdata

    flat = (maps.reshape(len(maps), int(np.prod(maps.shape[1:]))) for maps in (one, other))
    ranks = [rankdata(maps, axis=1) for maps in flat]
    first, second = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    spread = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: FloatArray = np.where(spread > 0, (first * second).sum(axis=1) / spread, np.nan)
    return correlations
