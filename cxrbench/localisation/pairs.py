"""Which images are explained for which finding, and where that finding is annotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.collection import BOX_COLUMNS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Window:
    """The part of a stored image that a network sees, in shares of its side.

    Attributes:
        start: its left and its upper edge.
        share: its side.
    """

    start: float
    share: float

    def within(self, boxes: FloatArray) -> FloatArray:
        """Boxes ``[..., 4]`` (left, top, right, bottom) of the whole image, in shares of the window."""
        return (boxes - self.start) / self.share

    def whole(self, boxes: FloatArray) -> FloatArray:
        """Boxes of the window, in shares of the whole image."""
        return boxes * self.share + self.start


@dataclass(frozen=True)
class Pairs:
    """Images, each with one finding that it is explained for; an image may be there for several.

    Attributes:
        image_ids: ``[n]``.
        findings: ``[n]``.
        patients: ``[n]``, of each image.
        boxes: float64 ``[n, m, 4]``, what is annotated (left, top, right, bottom) in shares of the whole
            image's sides, filled up with NaN; ``m`` is 0 where nothing is.
    """

    image_ids: pd.Index[str]
    findings: NDArray[np.str_]
    patients: NDArray[np.str_]
    boxes: FloatArray

    def __len__(self) -> int:
        return len(self.image_ids)

    def at(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Pairs:
        """Some of them."""
        return Pairs(self.image_ids[rows], self.findings[rows], self.patients[rows], self.boxes[rows])

    @property
    def names(self) -> list[str]:
        """The findings among them, in order of the alphabet."""
        return sorted(set(self.findings.tolist()))


def pairs_of(
    image_ids: Sequence[str], findings: Sequence[str], patients: pd.Series[str], boxes: pd.DataFrame
) -> Pairs:
    """Pairs with whatever boxes there are of them.

    Args:
        image_ids: ``[n]``.
        findings: ``[n]``.
        patients: of each image, by image id.
        boxes: see :attr:`cxrbench.collection.Collection.boxes`.
    """
    of_pairs = {
        key: group[list(BOX_COLUMNS[2:])].to_numpy(np.float64)
        for key, group in boxes.groupby(["image_id", "finding"], sort=False)
    }
    found = [of_pairs.get(key, np.empty((0, 4))) for key in zip(image_ids, findings, strict=True)]
    corners = np.full((len(found), max(map(len, found), default=0), 4), np.nan)
    for row, each in enumerate(found):
        corners[row, : len(each), :2] = each[:, :2]
        corners[row, : len(each), 2:] = each[:, :2] + each[:, 2:]
    ids = pd.Index(list(image_ids), dtype="str")
    return Pairs(ids, np.asarray(findings, np.str_), patients.loc[ids].to_numpy().astype(np.str_), corners)


def annotated_pairs(boxes: pd.DataFrame, patients: pd.Series[str]) -> Pairs:
    """Every pair of image and finding that has a box, in order of both."""
    keys = boxes[["image_id", "finding"]].drop_duplicates().sort_values(["image_id", "finding"])
    return pairs_of(keys["image_id"].tolist(), keys["finding"].tolist(), patients, boxes)
