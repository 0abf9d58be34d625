"""Figures with one panel for each finding: ROC curves and confusion matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from cxrbench.report.sheet import BLUE, GREY, INK, VERMILION, Sheet, grid, number, say_undefined, shown

_EMPTY_ROW = "#f0f0f0"


def roc_figure(roc: pd.DataFrame, per_finding: pd.DataFrame, title: str) -> Sheet:
    """The ROC curve of each finding, with the operating point that decisions are made at.

    Args:
        roc: columns finding, fpr, tpr, in the order of the curve; rates are NaN where undefined.
        per_finding: one row a finding; columns finding, auc, recall, specificity, threshold, feasible, n_pos.
        title: of the sheet.
    """
    sheet, panels = grid(
        len(per_finding),
        size=1.95,
        gap=(0.22, 0.42),
        margin=(0.7, 0.62),
        title=title,
        heading="ROC curves on test",
    )
    curves = dict(tuple(roc.dropna(subset=["fpr", "tpr"]).groupby("finding")))
    for panel, row in zip(panels, per_finding.to_dict("records"), strict=True):
        panel.set_title(f"{shown(row['finding'])}  AUC {number(row['auc'])}", pad=5)
        panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        curve = curves.get(row["finding"])
        if curve is None:
            say_undefined(panel)
            continue
        panel.plot((0, 1), (0, 1), color="#c8c8c8", linewidth=0.8, linestyle=(0, (4, 3)))
        panel.plot(curve["fpr"], curve["tpr"], color=BLUE, linewidth=1.5)
        fill = VERMILION if row["feasible"] else "white"
        panel.plot(
            1 - row["specificity"],
            row["recall"],
            "o",
            color=VERMILION,
            markerfacecolor=fill,
            markersize=6,
            zorder=3,
            clip_on=False,
        )
        note = f"{number(row['n_pos'], 0)} positive\nthreshold {number(row['threshold'], 3)}"
        panel.text(0.97, 0.04, note, transform=panel.transAxes, ha="right", va="bottom", size=7.5, color=GREY)
    _outer_labels(sheet, panels, "false positive rate (1 − specificity)", "true positive rate (recall)")
    marks = {"operating point": VERMILION, "operating point that misses its strategy's constraint": "white"}
    sheet.legend(
        [
            Line2D([], [], color=VERMILION, markerfacecolor=fill, marker="o", linestyle="none", label=label)
            for label, fill in marks.items()
        ]
    )
    return sheet


def confusion_figure(per_finding: pd.DataFrame, title: str) -> Sheet:
    """The 2×2 confusion matrix of each finding, shaded by the share of its row.

    Args:
        per_finding: one row a finding; columns finding, tp, fp, tn, fn.
        title: of the sheet.
    """
    sheet, panels = grid(
        len(per_finding),
        size=1.6,
        gap=(0.25, 0.42),
        margin=(1.0, 0.62),
        title=title,
        heading="Decisions on test",
    )
    for panel, row in zip(panels, per_finding.to_dict("records"), strict=True):
        panel.set_title(shown(row["finding"]), pad=5)
        _matrix(panel, np.array([[row["tp"], row["fn"]], [row["fp"], row["tn"]]], dtype=np.float64))
    _outer_labels(sheet, panels, "decision", "truth")
    return sheet


def _matrix(axes: Axes, counts: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    """Counts ``[truth, decision]`` with the share of each row; a row without any image stays grey."""
    axes.set(
        xticks=(0, 1), yticks=(0, 1), xticklabels=("called", "not called"), yticklabels=("present", "absent")
    )
    axes.tick_params(length=0)
    sns.despine(ax=axes, left=True, bottom=True)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full((2, 2), np.nan), where=totals > 0)
    shades = colormaps["Blues"].with_extremes(bad=_EMPTY_ROW)
    axes.imshow(np.ma.masked_invalid(shares), cmap=shades, vmin=0, vmax=1.15)
    if not np.nansum(totals):
        say_undefined(axes, "undecided", ground=_EMPTY_ROW)
        return
    for (row, column), share in np.ndenumerate(shares):
        count = float(counts[row, column])
        ink = "white" if share > 0.6 else INK
        axes.text(column, row, number(count, 0), ha="center", va="bottom", color=ink)
        if np.isfinite(share):
            axes.text(column, row + 0.07, f"{share:.0%}", ha="center", va="top", size=7.5, color=ink)


def _outer_labels(sheet: Sheet, panels: list[Axes], across: str, up: str) -> None:
    """What the axes of all panels are, in the middle below and beside them."""
    block = Bbox.union([panel.get_position() for panel in panels])
    x, y = sheet.place(0.2, 0.16)
    sheet.figure.text((block.x0 + block.x1) / 2, y, across, ha="center", va="center")
    sheet.figure.text(x, (block.y0 + block.y1) / 2, up, ha="center", va="center", rotation=90)
