"""How a run does on groups of patients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cxrbench.report.sheet import BLUE, GREY, RULE, Sheet, say_undefined

_ROW = 0.24
_PANELS = {
    "auc": "AUC",
    "auc_gap": "AUC, gap to the rest",
    "tpr": "true positive rate",
    "fpr": "false positive rate",
    "ece": "calibration error (ECE)",
}


def subgroups_figure(subgroups: pd.DataFrame, findings: int, title: str) -> Sheet:
    """Figures of each group, means over the findings shown for it, with 95% intervals.

    Args:
        subgroups: as :func:`cxrbench.evaluation.subgroups.subgroups_table` makes them; rows of all findings.
        findings: how many there are.
        title: of the sheet.
    """
    rows = len(subgroups)
    height = _ROW * rows + 0.1
    heading = f"Subgroups on test: means over the findings shown (how many, of {findings}), 95% intervals"
    sheet = Sheet(12.2, height + 0.65, title=title, heading=heading)
    names = [
        f"{row['attribute']} {row['group']}  ({row['images']:,} images, {findings - row['withheld']})"
        for row in subgroups.to_dict("records")
    ]
    places = np.arange(rows)
    for index, (figure, label) in enumerate(_PANELS.items()):
        axes = sheet.panel(2.95 + index * 1.83, 0.5, 1.65, height)
        value, low, high = (subgroups[f"{figure}{end}"].to_numpy(np.float64) for end in ("", "_low", "_high"))
        axes.hlines(places, low, high, color=BLUE, linewidth=1.4)
        axes.plot(value, places, "o", color=BLUE, markersize=4.5)
        if figure == "auc_gap":
            axes.axvline(0, color=GREY, linewidth=0.8)
        # Ticks take most of the time of a panel: only the first has any, and rules are drawn in one go.
        axes.hlines(places, 0, 1, transform=axes.get_yaxis_transform(), color=RULE, linewidth=0.7, zorder=0)
        axes.set(ylim=(rows - 0.5, -0.5), yticks=[])
        if index == 0:
            axes.set_yticks(places, names)
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=3)
        axes.tick_params(axis="y", length=0)
        for edge in np.flatnonzero(np.diff(pd.factorize(subgroups["attribute"])[0])):
            axes.axhline(edge + 0.5, color=GREY, linewidth=0.5)
        if np.isnan(value).all():
            say_undefined(axes, "withheld")
    return sheet
