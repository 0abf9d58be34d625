"""Figures with one tile of curves for each finding: precision-recall, reliability, thresholds, benefit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from cxrbench.report.findings_figures import outer_labels
from cxrbench.report.sheet import BLUE, GREEN, GREY, ORANGE, VERMILION, Sheet, Tile, number, shown, tiles

_HALVES = {0.0: "0.0", 0.5: "0.5", 1.0: "1.0"}
_UNIT = (-0.02, 1.02)
_SIZE, _GAP, _MARGIN = 1.95, (0.22, 0.42), (0.7, 0.62)
_DASHED = (0, (4, 3))
_LIGHT = "#c8c8c8"
_LARGEST_DOT = 7.0
_LEAST_IN_BIN = 5


def pr_figure(curves: Mapping[str, Any], title: str) -> Sheet:
    """The precision-recall curve of each finding; the dashed line is the prevalence, what chance reaches.

    ``curves`` are as :func:`cxrbench.evaluation.curves.curves` makes them, here and below.
    """
    sheet, panels = _unit_tiles(curves, title, "Precision-recall curves on test")
    for panel, finding in _each(panels, curves, "pr"):
        curve = finding["pr"]
        rate = curve["precision"][-1]
        panel.plot((0, 1), (rate, rate), color=_LIGHT, linewidth=0.8, linestyle=_DASHED)
        # Precision between two points is not on the line between them: it is held to the next point.
        panel.plot(curve["recall"], curve["precision"], color=BLUE, linewidth=1.5, drawstyle="steps-pre")
    outer_labels(sheet, panels, "recall", "precision")
    return sheet


def reliability_figure(curves: Mapping[str, Any], title: str) -> Sheet:
    """How often a finding is there where it is given a probability: for decisions' calibrator, and raw.

    Bins of fewer than five images are left out. Dots grow with the images of their bin; the band is Wilson's
    95% interval of the rate, images taken for independent.
    """
    sheet, panels = _unit_tiles(curves, title, "Reliability on test: observed rate in 15 bins")
    for panel, finding in _each(panels, curves, "reliability"):
        panel.plot((0, 1), (0, 1), color=_LIGHT, linewidth=0.8, linestyle=_DASHED)
        if "reliability_raw" in finding:
            raw = _filled(finding["reliability_raw"])
            panel.plot(raw["probability"], raw["rate"], color=GREY, linewidth=1.0, marker=".", markersize=3)
        diagram = _filled(finding["reliability"])
        panel.band(diagram["probability"], diagram["low"], diagram["high"], BLUE)
        panel.plot(diagram["probability"], diagram["rate"], color=BLUE, linewidth=1.2)
        for probability, rate, count in zip(
            diagram["probability"], diagram["rate"], diagram["count"], strict=True
        ):
            size = max(_LARGEST_DOT * float(count / diagram["count"].max()) ** 0.5, 1.5)
            panel.plot((probability,), (rate,), color=BLUE, marker="o", markersize=size, linestyle="none")
    outer_labels(sheet, panels, "mean probability", "observed rate")
    handles = [Line2D([], [], color=BLUE, marker="o", label=_calibrated(curves["calibrator"]))]
    if "reliability_raw" in curves["findings"][0]:
        handles.append(Line2D([], [], color=GREY, marker=".", label="raw"))
    sheet.legend(handles)
    return sheet


def threshold_figure(curves: Mapping[str, Any], per_finding: pd.DataFrame, title: str) -> Sheet:
    """Precision, recall and F1 of each finding at every threshold, with the one that decisions are made at.

    Args:
        curves: thresholds from 0 to the finding's highest probability, which each tile is as wide as.
        per_finding: one row a finding; columns finding, threshold, threshold_low, threshold_high.
        title: of the sheet.
    """
    sheet, panels = _unit_tiles(curves, title, "Thresholds on test", x_ticks={})
    rows = per_finding.set_index("finding")
    looks = {"precision": BLUE, "recall": ORANGE, "f1": GREEN}
    for panel, finding in _each(panels, curves, "thresholds"):
        curve, row = finding["thresholds"], rows.loc[finding["finding"]]
        top = max(curve["threshold"][-1], 1e-9)
        low, high, at = (
            min(float(row[name]) / top, 1.0) for name in ("threshold_low", "threshold_high", "threshold")
        )
        if np.isfinite(low):
            panel.band((low, high), (0, 0), (1, 1), VERMILION)
        if np.isfinite(at):
            panel.plot((at, at), (0, 1), color=VERMILION, linewidth=1.0)
        across = np.asarray(curve["threshold"]) / top
        for name, color in looks.items():
            panel.plot(across, np.asarray(curve[name], np.float64), color=color, linewidth=1.3)
        panel.set_title(f"{shown(finding['finding'])}  0 to {number(top, 2)}")
    outer_labels(sheet, panels, "threshold, from 0 to the finding's highest probability", "")
    sheet.legend(
        [
            *(Line2D([], [], color=color, label=name.replace("f1", "F1")) for name, color in looks.items()),
            Line2D([], [], color=VERMILION, label="operating point and its 95% interval"),
        ]
    )
    return sheet


def decision_figure(curves: Mapping[str, Any], title: str) -> Sheet:
    """Net benefit of each finding over threshold probabilities, as a share of its prevalence.

    1 is the benefit of calling every positive and nothing else. Grey is that of calling every image; calling
    none has 0. Thresholds go from 0 to the finding's highest probability.
    """
    sheet, panels = tiles(
        len(curves["findings"]),
        size=_SIZE,
        gap=_GAP,
        margin=_MARGIN,
        limits=(_UNIT, (-0.25, 1.02)),
        ticks=({}, {0.0: "0", 0.5: "0.5", 1.0: "1"}),
        tick_length=0.04,
        title=title,
        heading="Decision curves on test: net benefit as a share of the prevalence",
    )
    for panel, finding in _each(panels, curves, "decision"):
        curve = finding["decision"]
        top = max(curve["threshold"][-1], 1e-9)
        across, best = np.asarray(curve["threshold"]) / top, max(curve["of_calling_all"][0], 1e-9)
        panel.plot((0, 1), (0, 0), color=_LIGHT, linewidth=0.8)
        for name, color in (("of_calling_all", GREY), ("net_benefit", BLUE)):
            values = np.asarray(curve[name], np.float64) / best
            # Below the tile's edge there is nothing to be read, nor across such a gap.
            inside = np.where(values >= -0.25, values, np.nan)
            panel.plot(across, inside, color=color, linewidth=1.4)
        panel.set_title(f"{shown(finding['finding'])}  0 to {number(top, 2)}")
    outer_labels(
        sheet, panels, "threshold probability, from 0 to the finding's highest", "net benefit / prevalence"
    )
    sheet.legend(
        [Line2D([], [], color=BLUE, label="the run"), Line2D([], [], color=GREY, label="calling every image")]
    )
    return sheet


def _filled(diagram: Mapping[str, Any]) -> dict[str, NDArray[np.float64]]:
    enough = np.asarray(diagram["count"]) >= _LEAST_IN_BIN
    return {name: np.asarray(values, np.float64)[enough] for name, values in diagram.items()}


def _calibrated(calibrator: str) -> str:
    return "raw" if calibrator == "none" else f"after {calibrator}"


def _unit_tiles(
    curves: Mapping[str, Any], title: str, heading: str, x_ticks: Mapping[float, str] | None = None
) -> tuple[Sheet, list[Tile]]:
    return tiles(
        len(curves["findings"]),
        size=_SIZE,
        gap=_GAP,
        margin=_MARGIN,
        limits=(_UNIT, _UNIT),
        ticks=(_HALVES if x_ticks is None else x_ticks, _HALVES),
        tick_length=0.04,
        title=title,
        heading=heading,
    )


def _each(panels: list[Tile], curves: Mapping[str, Any], curve: str) -> list[tuple[Tile, Mapping[str, Any]]]:
    """The tiles of findings that have the curve, framed; the others say that it is undefined."""
    drawn = []
    for panel, finding in zip(panels, curves["findings"], strict=True):
        panel.frame()
        if finding[curve] is None:
            panel.set_title(shown(finding["finding"]))
            panel.say_undefined()
        else:
            if curve in ("pr", "reliability"):
                panel.set_title(shown(finding["finding"]))
            drawn.append((panel, finding))
    return drawn
