"""Images by what is known to be on them, and shares of them: what samplers are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.findings import NO_FINDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    Mask = NDArray[np.bool_]


def without_finding(labels: FloatArray, classes: Sequence[str]) -> Mask:
    """Images ``[n]`` that are known to show nothing: every label is 0, but for a class ``No Finding``."""
    findings = [column for column, name in enumerate(classes) if name != NO_FINDING]
    return np.asarray((labels[:, findings] == 0).all(axis=1))


def with_one_finding(labels: FloatArray, column: int) -> Mask:
    """Images ``[n]`` whose only label is that of a column, every other one being known to be 0."""
    return np.asarray((labels[:, column] == 1) & (np.delete(labels, column, axis=1) == 0).all(axis=1))


def first_by_draw(images: Mask, draws: FloatArray, number: int) -> NDArray[np.int64]:
    """Positions of the ``number`` of these images with the lowest draws, lowest first; all where fewer."""
    positions = np.flatnonzero(images)
    return positions[np.argsort(draws[positions], kind="stable")][:number]


def leave(kept: Mask, images: Mask, draws: FloatArray, number: int) -> Mask:
    """``kept`` without those of ``images`` that are not among their ``number`` lowest draws."""
    lost = images.copy()
    lost[first_by_draw(images, draws, number)] = False
    return kept & ~lost


def leave_share(kept: Mask, images: Mask, draws: FloatArray, share: float) -> Mask:
    """As :func:`leave`, by a share of the images."""
    return leave(kept, images, draws, round(share * int(images.sum())))


def other_draws(draws: FloatArray) -> FloatArray:
    """Uniform numbers that tell nothing of ``draws``: what follows their first 20 binary digits."""
    return np.asarray(draws * 2.0**20 % 1)
