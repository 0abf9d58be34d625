"""The boxes that radiologists drew on 880 images of the test list."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cxrbench.collection import BOX_COLUMNS
from cxrbench.datasets.tables import no_boxes
from cxrbench.errors import CxrbenchError
from cxrbench.findings import canonical_finding

BOX_SIDE = 1024.0
"""Boxes are in pixels of the 1024 × 1024 images that were published."""


def read_boxes(path: Path, ids: pd.Index[str]) -> pd.DataFrame:
    """The boxes of these images as shares of the image's side; none where the table is not there.

    The header splits ``Bbox [x,y,w,h]`` over four columns and adds empty ones: read by position.

    Raises:
        CxrbenchError: the table is damaged, or a box is of none of the 14 findings.
    """
    if not path.is_file():
        return no_boxes()
    sides = list(BOX_COLUMNS[2:])
    try:
        boxes = pd.read_csv(path, header=None, skiprows=1, usecols=range(6), names=list(BOX_COLUMNS))
        boxes[sides] = boxes[sides].astype("float64") / BOX_SIDE
    except (ValueError, OSError) as error:
        raise CxrbenchError(
            f"{path} cannot be read as a table of boxes ({error}); download it again."
        ) from error
    boxes = boxes[boxes["image_id"].map(set(ids.tolist()).__contains__)].reset_index(drop=True)
    findings = boxes["finding"].map(lambda text: canonical_finding(str(text)))
    if findings.isna().any():
        unknown = boxes["finding"][findings.isna()].iloc[0]
        raise CxrbenchError(
            f"{path} has a box of '{unknown}', which is none of the 14 findings; download it again."
        )
    return boxes.assign(finding=findings)
