"""Evaluations read back from a store: replicates, for intervals and paired differences, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cxrbench.files import read_json
from cxrbench.statistics.bootstrap import Estimate

if TYPE_CHECKING:
    from cxrbench.interfaces import FloatArray


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a run.

    Attributes:
        folder: of its artifact.
        record: the run's ``run.json``.
    """

    folder: Path
    record: Mapping[str, Any]

    @classmethod
    def of(cls, root: Path, record: Mapping[str, Any]) -> Evaluation | None:
        """The evaluation of a run of the store at ``root``; None for a run older than replicates."""
        where = record.get("evaluation")
        return None if where is None else cls(root / where, record)

    @cached_property
    def replicates(self) -> pd.DataFrame:
        """A row a resample; a column a figure, such as ``macro_auc`` and ``auc:Hernia``."""
        return pd.read_parquet(self.folder / "replicates.parquet")

    @cached_property
    def curves(self) -> dict[str, Any]:
        """Curves of each finding, see :func:`cxrbench.evaluation.curves.curves`."""
        found: dict[str, Any] = read_json(self.folder / "curves.json")
        return found

    @property
    def confusion(self) -> pd.DataFrame | None:
        """Calls where findings are present, see :func:`cxrbench.evaluation.pairs.confusion_table`.

        None of a single-label task.
        """
        path = self.folder / "confusion.csv"
        return pd.read_csv(path) if path.exists() else None

    @property
    def confusion_matrix(self) -> pd.DataFrame | None:
        """Images by true class (index) and called class (columns); None of a multi-label task."""
        path = self.folder / "confusion_matrix.csv"
        return pd.read_csv(path, index_col="truth") if path.exists() else None

    def estimate(self, name: str) -> Estimate:
        """A figure with its replicates.

        Those of runs with one passport can be subtracted: :mod:`cxrbench.statistics.comparison`.

        Args:
            name: a column of :attr:`replicates`.
        """
        return estimate_of(name, self.record, self.record["intervals"], self.replicates)


def estimate_of(
    name: str, record: Mapping[str, Any], intervals: Mapping[str, Any], replicates: pd.DataFrame
) -> Estimate:
    """A figure of a run with its replicates.

    Args:
        name: a column of ``replicates``.
        record: the run's ``run.json``.
        intervals: what it says of the replicates, which an old run does not.
        replicates: a row a resample.
    """
    metric, _, finding = name.partition(":")
    rows = {row["finding"]: row for row in record["per_finding"]}
    value = rows[finding][metric] if finding else record["metrics"][name]
    drawn: FloatArray = replicates[name].to_numpy(np.float64)
    of_findings = {row["finding"]: row["units"] for row in intervals["per_finding"]}
    units = of_findings[finding] if finding else intervals["units"][name]
    return Estimate(
        float("nan") if value is None else value,
        drawn,
        intervals["resamples"],
        (finding,) if finding else _covers(name, rows),
        math.inf if units is None else units,
    )


def _covers(name: str, rows: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The findings that an average is over: those whose own figure is defined."""
    own = name.removeprefix("macro_")
    return tuple(finding for finding, row in rows.items() if row.get(own, 0) is not None)
