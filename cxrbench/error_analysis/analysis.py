"""An error analysis: all tables of a panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxrbench.error_analysis.counts import (
    agreement_table,
    confusions_table,
    counts_table,
    overlap_table,
    runs_table,
)
from cxrbench.error_analysis.images import HARDEST, errors_table, hardest, hardest_table
from cxrbench.error_analysis.label_errors import label_errors_table
from cxrbench.error_analysis.panel import Panel
from cxrbench.error_analysis.slices import ALL_RUNS, slices_table

if TYPE_CHECKING:
    import pandas as pd

_SLICES_TOLD = 20
"""Of the JSON document."""


@dataclass(frozen=True)
class ErrorAnalysis:
    """Where runs fail.

    Attributes:
        panel: the runs.
        counts: see :func:`cxrbench.error_analysis.counts.counts_table`, like those up to ``confusions``.
        by_run: of each run.
        agreement: of each two.
        overlap: sets of runs.
        confusions: findings taken for others.
        hardest: see :func:`cxrbench.error_analysis.images.hardest_table`.
        errors: see :func:`cxrbench.error_analysis.images.errors_table`.
        label_errors: see :func:`cxrbench.error_analysis.label_errors.label_errors_table`.
        slices: see :func:`cxrbench.error_analysis.slices.slices_table`.
    """

    panel: Panel
    counts: pd.DataFrame
    by_run: pd.DataFrame
    agreement: pd.DataFrame
    overlap: pd.DataFrame
    confusions: pd.DataFrame
    hardest: pd.DataFrame
    errors: pd.DataFrame
    label_errors: pd.DataFrame
    slices: pd.DataFrame

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table by its name."""
        return {name: value for name, value in vars(self).items() if name != "panel"}

    @property
    def leading_slices(self) -> pd.DataFrame:
        """Slices of the mean over runs, or of the only run."""
        if len(self.panel.members) == 1:
            return self.slices
        return self.slices[self.slices["run"] == ALL_RUNS]

    def record(self) -> dict[str, Any]:
        """As JSON: counts, agreement, overlap, and what leads the other tables."""
        image_ids = self.panel.cohort.image_ids
        return {
            "passport": self.panel.cohort.passport,
            "task": self.panel.cohort.task.kind,
            "images": len(image_ids),
            "runs": [
                {"letter": each.letter, "run_id": each.run_id, "name": each.name}
                for each in self.panel.members
            ],
            "counts": self.counts.to_dict("records"),
            "by_run": self.by_run.to_dict("records"),
            "agreement": self.agreement.to_dict("records"),
            "overlap": self.overlap.to_dict("records"),
            "hardest": [str(image_ids[row]) for row in hardest(self.panel)[:HARDEST]],
            "errors": len(self.errors),
            "label_errors": {
                name: int((self.label_errors["finding"] == name).sum()) for name in self.panel.classes
            },
            "slices": self.leading_slices.head(_SLICES_TOLD).to_dict("records"),
        }


def analyse(panel: Panel) -> ErrorAnalysis:
    """Make every table of a panel."""
    return ErrorAnalysis(
        panel=panel,
        counts=counts_table(panel),
        by_run=runs_table(panel),
        agreement=agreement_table(panel),
        overlap=overlap_table(panel),
        confusions=confusions_table(panel),
        hardest=hardest_table(panel),
        errors=errors_table(panel),
        label_errors=label_errors_table(panel),
        slices=slices_table(panel),
    )
