"""The predictions table: image id × class, raw logits, one file a role, no labels beside them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json
from cxrbench.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA_VERSION = 1
_META = b"cxrbench"


@dataclass(frozen=True, slots=True)
class Predictions:
    """Raw logits of one model on some images.

    Attributes:
        task: whose classes the columns are.
        table: float32, indexed by unique ``image_id`` strings, one column a class.
    """

    task: Task
    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Refuse what cannot be joined by image id."""
        if tuple(self.table.columns) != self.task.classes:
            raise CxrbenchError("The predictions' columns are not the task's classes.")
        if not self.table.index.is_unique:
            repeated = self.table.index[self.table.index.duplicated()][0]
            raise CxrbenchError(
                f"The predictions hold the image {repeated} more than once; keep one row an image."
            )

    def matrix(self, image_ids: pd.Index[str]) -> NDArray[np.float64]:
        """Logits ``[n, classes]`` in the order of ``image_ids``.

        Raises:
            CxrbenchError: an image has no prediction; the message counts them and names the first.
        """
        missing = image_ids.difference(self.table.index)
        if len(missing):
            raise CxrbenchError(
                f"{len(missing)} of {len(image_ids)} images have no prediction, the first is {missing[0]}."
            )
        return self.table.loc[image_ids].to_numpy(dtype=np.float64)

    def write(self, path: Path) -> None:
        """Write as Parquet; task and schema version stand in the file's metadata."""
        meta = {
            "schema_version": SCHEMA_VERSION,
            "values": "logit",
            "task": self.task.kind,
            "classes": self.task.classes,
        }
        table = pa.Table.from_pandas(self.table.rename_axis("image_id").reset_index(), preserve_index=False)
        pq.write_table(table.replace_schema_metadata({_META: json.dumps(meta)}), path)

    @classmethod
    def read(cls, path: Path) -> Predictions:
        """Read what :meth:`write` wrote, in this or an older version.

        Raises:
            CxrbenchError: the file is no predictions table, or of a newer version.
        """
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise CxrbenchError(
                f"{path} cannot be read as Parquet ({error}); see 'cxrbench verify'."
            ) from error
        metadata = table.schema.metadata or {}
        if _META not in metadata:
            raise CxrbenchError(f"{path} is Parquet, but not a predictions table of cxrbench.")
        meta = json.loads(metadata[_META])
        if meta["schema_version"] > SCHEMA_VERSION:
            raise CxrbenchError(f"{path} was written by a newer cxrbench; update cxrbench to read it.")
        task = Task(meta["task"], tuple(meta["classes"]))
        return cls(task, table.to_pandas().set_index("image_id"))


def read_seconds(folder: Path) -> float | None:
    """How long the predictions took; None where an older cxrbench made them and did not say."""
    path = folder / "prediction.json"
    return float(read_json(path)["seconds"]) if path.exists() else None
