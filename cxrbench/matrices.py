"""Matrices of image id × class as Parquet: labels and probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


def write_matrix(table: pd.DataFrame, path: Path) -> None:
    """Write a table indexed by image id, one column a class."""
    table.rename_axis("image_id").reset_index().to_parquet(path, index=False)


def read_matrix(path: Path) -> FloatArray:
    """The values ``[n, classes]`` of what :func:`write_matrix` wrote, in its order of images."""
    return pd.read_parquet(path).set_index("image_id").to_numpy(dtype=np.float64)
