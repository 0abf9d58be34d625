"""How far probabilities can be trusted, raw and after each calibrator."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cxrbench.report.sheet import GREY, PALETTE, RULE, Sheet, legend_height, shown

_MARKERS = "osD^vPX*"
_ROW = 0.26
"""Inches."""
_SPREAD = 0.18
"""Of a row's dots to either side, in rows."""


def calibration_figure(calibration: pd.DataFrame, title: str) -> Sheet:
    """ECE and Brier score of each finding, and their mean, for each calibrator.

    Args:
        calibration: one row a calibrator and finding; columns calibrator, finding, ece, brier.
        title: of the sheet.
    """
    findings, calibrators = calibration["finding"].unique(), calibration["calibrator"].unique()
    height = _ROW * (len(findings) + 1) + 0.1
    heading = "Calibration on test, raw and after each calibrator; less is better"
    bottom = 0.45 + legend_height(len(calibrators))
    sheet = Sheet(9.5, bottom + height + 0.15, title=title, heading=heading)
    panels = sheet.panel(1.75, bottom, 3.55, height), sheet.panel(5.65, bottom, 3.55, height)
    for panel, column, label in zip(
        panels, ("ece", "brier"), ("expected calibration error (ECE)", "Brier score"), strict=True
    ):
        values = calibration.pivot(index="finding", columns="calibrator", values=column)
        _dot_plot(panel, values.reindex(index=findings, columns=calibrators))
        panel.set_xlabel(label)
    panels[1].tick_params(labelleft=False)
    sheet.legend(panels[0].get_legend_handles_labels()[0])
    return sheet


def _dot_plot(axes: Axes, table: pd.DataFrame) -> None:
    """One row a finding and a last one for the mean of those defined; one dot a column, side by side."""
    rows, columns = len(table) + 1, len(table.columns)
    values = np.vstack([table.to_numpy(np.float64), table.mean().to_numpy(np.float64)])
    offsets = np.linspace(-_SPREAD, _SPREAD, columns) if columns > 1 else np.zeros(columns)
    looks = zip(table, values.T, offsets, cycle(PALETTE), cycle(_MARKERS), strict=False)
    for name, column, offset, color, marker in looks:
        axes.plot(column, np.arange(rows) + offset, marker, color=color, markersize=5, label=shown(str(name)))
    across = axes.get_yaxis_transform()
    for row in np.flatnonzero(np.isnan(values).all(axis=1)).tolist():
        axes.text(
            0.02, row, "undefined", transform=across, va="center", size=8, color=GREY, backgroundcolor="white"
        )
    axes.set(ylim=(rows - 0.5, -0.5), yticks=range(rows), yticklabels=[*map(shown, table.index), "mean"])
    axes.set_xlim(0, None if np.nanmax(values, initial=0) > 0 else 1)
    axes.axhline(rows - 1.5, color=GREY, linewidth=0.8)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.tick_params(axis="y", length=0)
