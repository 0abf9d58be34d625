"""Figures with one tile for each finding: ROC curves and confusion matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from cxrbench.report.sheet import BLUE, GREY, INK, VERMILION, Sheet, Tile, number, shortened, shown, tiles

_EMPTY_ROW = "#f0f0f0"
_BLUES = colormaps["Blues"]
_RATES = {0.0: "0.0", 0.5: "0.5", 1.0: "1.0"}


def roc_figure(roc: pd.DataFrame, per_finding: pd.DataFrame, title: str) -> Sheet:
    """The ROC curve of each finding, with the operating point that decisions are made at.

    Args:
        roc: columns finding, fpr, tpr, in the order of the curve; rates are NaN where undefined.
        per_finding: one row a finding; columns finding, auc, recall, specificity, threshold, feasible, n_pos.
        title: of the sheet.
    """
    sheet, panels = tiles(
        len(per_finding),
        size=1.95,
        gap=(0.22, 0.42),
        margin=(0.7, 0.62),
        limits=((-0.02, 1.02), (-0.02, 1.02)),
        ticks=(_RATES, _RATES),
        tick_length=0.04,
        title=title,
        heading="ROC curves on test",
    )
    curves = dict(tuple(roc.dropna(subset=["fpr", "tpr"]).groupby("finding")))
    for panel, row in zip(panels, per_finding.to_dict("records"), strict=True):
        panel.set_title(f"{shown(row['finding'])}  AUC {number(row['auc'])}")
        panel.frame()
        curve = curves.get(row["finding"])
        if curve is None:
            panel.say_undefined()
            continue
        panel.plot((0, 1), (0, 1), color="#c8c8c8", linewidth=0.8, linestyle=(0, (4, 3)))
        panel.plot(curve["fpr"], curve["tpr"], color=BLUE, linewidth=1.5)
        fill = VERMILION if row["feasible"] else "white"
        panel.plot(
            [1 - row["specificity"]],
            [row["recall"]],
            color=VERMILION,
            marker="o",
            markerfacecolor=fill,
            markersize=6,
            zorder=3,
        )
        note = f"{number(row['n_pos'], 0)} positive\nthreshold {number(row['threshold'], 3)}"
        panel.text(0.99, 0.02, note, ha="right", va="bottom", size=7.5, color=GREY)
    outer_labels(sheet, panels, "false positive rate (1 − specificity)", "true positive rate (recall)")
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
    sheet, panels = tiles(
        len(per_finding),
        size=1.6,
        gap=(0.25, 0.42),
        margin=(1.0, 0.62),
        limits=((-0.5, 1.5), (1.5, -0.5)),
        ticks=({0: "called", 1: "not called"}, {0: "present", 1: "absent"}),
        tick_length=0,
        title=title,
        heading="Decisions on test",
    )
    for panel, row in zip(panels, per_finding.to_dict("records"), strict=True):
        panel.set_title(shown(row["finding"]))
        _matrix(panel, np.array([[row["tp"], row["fn"]], [row["fp"], row["tn"]]], dtype=np.float64))
    outer_labels(sheet, panels, "decision", "truth")
    return sheet


def class_confusion_figure(matrix: pd.DataFrame, title: str) -> Sheet:
    """Which class is called where one class is right: a matrix, shaded by the share of its row.

    Args:
        matrix: images by class (index) and by the class that is called (columns).
        title: of the sheet.
    """
    names: dict[float, str] = {place: shown(str(name)) for place, name in enumerate(matrix.columns)}
    size, end = float(max(len(names), 3)), len(names) - 0.5
    sheet, (panel,) = tiles(
        1,
        size=size,
        gap=(0.25, 0.42),
        margin=(1.9, 0.62),
        limits=((-0.5, end), (end, -0.5)),
        ticks=({place: shortened(name, 13) for place, name in names.items()}, names),
        tick_length=0,
        title=title,
        heading="Classes on test",
    )
    _matrix(panel, matrix.to_numpy(np.float64))
    outer_labels(sheet, [panel], "decision", "truth")
    return sheet


def _matrix(panel: Tile, counts: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> None:
    """Counts ``[truth, decision]`` with the share of each row; a row without any image stays grey."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    for (row, column), share in np.ndenumerate(shares):
        panel.shade(column, row, _BLUES(share / 1.15) if np.isfinite(share) else _EMPTY_ROW)
    if not np.nansum(totals):
        panel.say_undefined("undecided", ground=_EMPTY_ROW)
        return
    for (row, column), share in np.ndenumerate(shares):
        count = float(counts[row, column])
        ink = "white" if share > 0.6 else INK
        panel.text(column, row, number(count, 0), ha="center", va="bottom", color=ink)
        if np.isfinite(share):
            panel.text(column, row + 0.07, f"{share:.0%}", ha="center", va="top", size=7.5, color=ink)


def outer_labels(sheet: Sheet, panels: list[Tile], across: str, up: str) -> None:
    """What the axes of all tiles are, in the middle below and beside them."""
    block = Bbox.union([panel.box for panel in panels])
    inches = sheet.figure.dpi_scale_trans
    x, y = (block.x0 + block.x1) / 2, (block.y0 + block.y1) / 2
    sheet.figure.text(x, block.y0 - 0.46, across, transform=inches, ha="center", va="center")
    sheet.figure.text(0.2, y, up, transform=inches, ha="center", va="center", rotation=90)
