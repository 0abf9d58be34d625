"""What a data exploration draws: each a sheet that can stand alone in a paper."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from cxrbench.exploration import Exploration, Sample
from cxrbench.findings import NO_FINDING
from cxrbench.report.sheet import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    RULE,
    VERMILION,
    Sheet,
    printable,
    shortened,
    shown,
)
from cxrbench.roles import ROLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIGHT_BLUE, _LIGHT_GREY = "#8fc3e6", "#d0d0d0"
_WIDTH = 7.4
_ROW = 0.25
"""Of a finding, in inches."""
_LEFT, _RIGHT, _TOP, _BELOW = 1.75, 0.25, 0.34, 0.55
"""Round a panel: names of findings, air, the legend, the axis."""

_ALL = "All images"
_PATIENT_BINS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 9), (10, 19), (20, None))
_MARKS = dict(zip(ROLES, (("o", BLUE), ("s", GREEN), ("^", ORANGE), ("D", VERMILION)), strict=True))
_PICTURE, _GAP = 1.5, 0.12
"""Side of a sample, and between two, in inches."""


def exploration_figures(found: Exploration, samples: Sequence[Sample], title: str) -> dict[str, Sheet]:
    """The figures by name, in the order in which they are looked at; to be drawn in the house style.

    What would show nothing is left out: pairs of findings where there are none, samples where there are none.

    Args:
        found: what was counted.
        samples: images of train.
        title: stands above each; names the data.
    """
    figures = {"findings": _findings(found, title), "numbers": _numbers(found, title)}
    if found.multilabel and len(_ordered(found, no_finding=False)) > 1:
        figures["together"] = _together(found, title)
    sex = {"female": ("female", BLUE), "male": ("male", ORANGE), "sex_unknown": ("unknown", _LIGHT_GREY)}
    view = {"pa": ("PA", BLUE), "ap": ("AP", ORANGE), "view_unknown": ("unknown", _LIGHT_GREY)}
    figures["sex"] = _shares(found, sex, title, "Sex by finding: share of its images")
    figures["age"] = _ages(found, title)
    figures["view"] = _shares(found, view, title, "View by finding: share of its images")
    figures["roles"] = _roles(found, title)
    if samples:
        figures["samples"] = _samples(samples, title)
    return figures


def _ordered(found: Exploration, *, no_finding: bool = True) -> pd.DataFrame:
    """The findings, most frequent first, No Finding last or not at all."""
    table = found.findings.sort_values("images", ascending=False, kind="stable")
    last = table["finding"] == NO_FINDING
    return pd.concat([table[~last], table[last]] if no_finding else [table[~last]])


def _with_all(found: Exploration) -> list[Mapping[str, Any]]:
    return [{"finding": _ALL, **found.everyone}, *_records(_ordered(found))]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _rows(names: Sequence[str], title: str, heading: str, top: float = _TOP) -> tuple[Sheet, Axes]:
    """A sheet with one panel, a row a finding from the top down; ``top`` inches are left for a legend."""
    height = _ROW * len(names)
    sheet = Sheet(_WIDTH, top + height + _BELOW, title=title, heading=heading)
    panel = sheet.panel(_LEFT, _BELOW, _WIDTH - _LEFT - _RIGHT, height)
    panel.set_ylim(len(names) - 0.5, -0.5)
    panel.set_yticks(range(len(names)), [shown(name) for name in names])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.set_axisbelow(True)
    panel.grid(axis="x", color=RULE, linewidth=0.8)
    return sheet, panel


def _legend(panel: Axes, columns: int) -> None:
    panel.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        borderaxespad=0.2,
        handlelength=1,
        handletextpad=0.5,
        columnspacing=1.5,
    )


def _bars(panel: Axes, rows: Sequence[Mapping[str, Any]], parts: Mapping[str, tuple[str, str]]) -> None:
    """Stacked bars of columns, each with its label and colour; what is nowhere has no place in the legend."""
    start = np.zeros(len(rows))
    for column, (label, color) in parts.items():
        lengths = np.array([row[column] for row in rows], dtype=np.float64)
        if np.nansum(lengths) > 0:
            panel.barh(range(len(rows)), lengths, left=start, height=0.68, color=color, label=label)
        start += np.nan_to_num(lengths)


def _findings(found: Exploration, title: str) -> Sheet:
    rows = _records(_ordered(found))
    sheet, panel = _rows([row["finding"] for row in rows], title, "Images by finding")
    # With unknown labels, an image may be neither.
    for row in rows:
        row["rest"] = row["images"] - row["alone"] - row["with_others"]
    parts = {
        "alone": ("this finding alone", BLUE),
        "with_others": ("with other findings", _LIGHT_BLUE),
        "rest": ("others unknown", _LIGHT_GREY),
    }
    if found.multilabel:
        _bars(panel, rows, parts)
        _legend(panel, 3)
    else:
        _bars(panel, rows, {"images": ("images", BLUE)})
    most = max(row["images"] for row in rows)
    for place, row in enumerate(rows):
        text = f" {row['images']:,} ({row['share']:.1%})" if row["share"] == row["share"] else " –"
        panel.text(row["images"], place, text, va="center", size=8, color=INK)
    panel.set_xlim(0, max(most, 1) * 1.2)
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panel.set_xlabel("images")
    return sheet


def _numbers(found: Exploration, title: str) -> Sheet:
    """Findings an image, and images a patient."""
    sheet = Sheet(_WIDTH, 2.75, title=title, heading="Findings per image, images per patient")
    counts = found.labels_per_image["all"]
    per_image = {str(number): int(count) for number, count in counts.items()}
    patients = found.images_per_patient
    per_patient: dict[str, int] = {}
    for low, high in _PATIENT_BINS:
        within = (patients.index >= low) & (patients.index <= (high or np.inf))
        name = f"{low}+" if high is None else f"{low}" if low == high else f"{low}–{high}"
        per_patient[name] = int(patients[within].sum())
    width = (_WIDTH - 1.6) / 2
    for left, values, across, up in (
        (0.75, per_image, "findings in an image", "images"),
        (0.75 + width + 0.65, per_patient, "images of a patient", "patients"),
    ):
        panel = sheet.panel(left, _BELOW, width, 2.0)
        total = sum(values.values())
        panel.bar(range(len(values)), list(values.values()), width=0.7, color=BLUE)
        for place, count in enumerate(values.values()):
            if count:
                # Beside each other, three digits of many small shares would run into one another.
                text = f"{count / total:.1%}" if count >= 0.01 * total else "<1%"
                panel.text(place, count, text, ha="center", va="bottom", size=7.5)
        panel.set_xticks(range(len(values)), list(values))
        panel.tick_params(axis="x", length=0)
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        panel.set_xlabel(across)
        panel.set_title(up, loc="left", color=INK)
    return sheet


def _together(found: Exploration, title: str) -> Sheet:
    """Of the images with the row's finding, how many have the column's."""
    names = list(_ordered(found, no_finding=False)["finding"])
    counts = found.together.loc[names, names].to_numpy(np.float64)
    own = counts.diagonal()[:, None]
    shares = np.divide(counts, own, out=np.full_like(counts, np.nan), where=own > 0)
    np.fill_diagonal(shares, np.nan)
    cell = float(np.clip(6.2 / len(names), 0.15, 0.42))
    side = cell * len(names)
    bottom = 1.35
    sheet = Sheet(
        _LEFT + 0.6 + side + _RIGHT,
        bottom + side + 0.15,
        title=title,
        heading="Of the images with the row's finding, per cent that also have the column's",
    )
    panel = sheet.panel(_LEFT + 0.6, bottom, side, side)
    panel.set_facecolor("#f0f0f0")
    sns.heatmap(
        pd.DataFrame(100 * shares),
        ax=panel,
        cmap="Blues",
        vmin=0,
        cbar=False,
        annot=cell >= 0.3,
        fmt=".0f",
        annot_kws={"size": 7.5},
        linewidths=0.6,
        linecolor="white",
        rasterized=False,
    )
    heads = [f"{shown(name)} ({count:,.0f})" for name, count in zip(names, own[:, 0], strict=True)]
    at = np.arange(len(names)) + 0.5
    panel.set_xticks(at, [shown(name) for name in names], rotation=45, ha="right", rotation_mode="anchor")
    panel.set_yticks(at, heads, rotation=0)
    panel.tick_params(length=0)
    return sheet


def _shares(found: Exploration, parts: Mapping[str, tuple[str, str]], title: str, heading: str) -> Sheet:
    rows = _with_all(found)
    sheet, panel = _rows([row["finding"] for row in rows], title, heading)
    shares = [
        {**row, **{part: row[part] / row["images"] if row["images"] else np.nan for part in parts}}
        for row in rows
    ]
    _bars(panel, shares, parts)
    first = next(iter(parts))
    for place, row in enumerate(shares):
        if not row["images"]:
            panel.text(0.01, place, "no image", va="center", size=8, color=GREY)
    if shares[0][first]:
        panel.axvline(shares[0][first], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    _set_apart(panel)
    panel.set_xlim(0, 1)
    panel.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.set_xlabel("share of images; dashed: all images")
    _legend(panel, len(parts))
    return sheet


def _set_apart(panel: Axes) -> None:
    """The first row, which stands for all images, from the findings."""
    panel.axhline(0.5, color=GREY, linewidth=0.6)


def _ages(found: Exploration, title: str) -> Sheet:
    rows = _with_all(found)
    sheet, panel = _rows([row["finding"] for row in rows], title, "Age by finding, in years", 0.1)
    known = [(place, row) for place, row in enumerate(rows) if row["age_known"]]
    boxes = [
        dict(
            zip(
                ("whislo", "q1", "med", "q3", "whishi"),
                (row[f"age_p{q}"] for q in (5, 25, 50, 75, 95)),
                strict=True,
            )
        )
        for _, row in known
    ]
    if boxes:
        panel.bxp(
            boxes,
            positions=[place for place, _ in known],
            orientation="horizontal",
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": _LIGHT_BLUE, "edgecolor": BLUE, "linewidth": 0.8},
            whiskerprops={"color": BLUE, "linewidth": 0.8},
            capprops={"color": BLUE, "linewidth": 0.8},
            medianprops={"color": INK, "linewidth": 1.4},
        )
    for place, row in enumerate(rows):
        if not row["age_known"]:
            panel.text(1, place, "no age known", va="center", size=8, color=GREY)
    if rows[0]["age_known"]:
        panel.axvline(rows[0]["age_p50"], color=INK, linewidth=0.9, linestyle=(0, (3, 2)))
    _set_apart(panel)
    panel.set_xlim(0, 100)
    panel.set_xlabel("years; box: quartiles and median, whiskers: 5% and 95%; dashed: median of all images")
    return sheet


def _roles(found: Exploration, title: str) -> Sheet:
    rows = _records(_ordered(found))
    names = [row["finding"] for row in rows]
    sheet, panel = _rows(names, title, "Share of images with each finding, by role")
    panel.set_xscale("log")
    shares = [row[f"{role}_share"] for row in rows for role in ROLES]
    least = min((share for share in shares if share > 0), default=0.01)
    for place, row in enumerate(rows):
        drawn = [row[f"{role}_share"] for role in ROLES if row[f"{role}_share"] > 0]
        if drawn:
            panel.plot((min(drawn), max(drawn)), (place, place), color=_LIGHT_GREY, linewidth=1.5, zorder=1)
    for role, (marker, color) in _MARKS.items():
        if found.roles[role]["images"]:
            values = [row[f"{role}_share"] or np.nan for row in rows]
            panel.plot(
                values,
                range(len(rows)),
                linestyle="none",
                marker=marker,
                color=color,
                markersize=5.5,
                markeredgecolor="white",
                markeredgewidth=0.5,
                label=f"{role} ({found.roles[role]['images']:,})",
            )
    panel.set_xlim(least / 1.5, 1.15)
    ticks = [tick for tick in (1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0) if tick >= least / 1.5]
    panel.set_xticks(ticks, [f"{100 * tick:g}%" for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel("share of the role's images, on a logarithmic axis; no mark: none")
    if any(found.roles[role]["images"] for role in ROLES):
        _legend(panel, len(ROLES))
    return sheet


def _samples(samples: Sequence[Sample], title: str) -> Sheet:
    """A row a finding."""
    by_finding: dict[str, list[Sample]] = {}
    for sample in samples:
        by_finding.setdefault(sample.finding, []).append(sample)
    columns = max(map(len, by_finding.values()))
    height = _PICTURE + 0.36
    sheet = Sheet(
        0.2 + 1.4 + columns * (_PICTURE + _GAP) + 0.2,
        height * len(by_finding) + 0.1,
        title=title,
        heading="Images of train for each finding, chosen by a hash of their id",
    )
    # One panel in inches for all of them: panels of their own would take most of the time.
    panel = sheet.panel(0, 0, sheet.width, sheet.body)
    for row, (finding, images) in enumerate(by_finding.items()):
        top = sheet.body - 0.1 - row * height
        panel.text(0.2, top, _wrapped(finding), va="top", weight="bold", size=9)
        for column, sample in enumerate(images):
            left = 1.6 + column * (_PICTURE + _GAP)
            _show(panel, sample, left, top)
            for line, text in enumerate(_below(sample)):
                below = top - _PICTURE - 0.05 - line * 0.12
                panel.text(left, below, text, va="top", size=6, color=GREY)
    panel.set(xlim=(0, sheet.width), ylim=(0, sheet.body), aspect="auto")
    panel.set_axis_off()
    return sheet


def _show(panel: Axes, sample: Sample, left: float, top: float) -> None:
    """An image as large as fits into the middle of its square."""
    height, width = sample.pixels.shape
    scale = _PICTURE / max(height, width)
    x, y = left + (_PICTURE - scale * width) / 2, top - (_PICTURE + scale * height) / 2
    extent = (x, x + scale * width, y, y + scale * height)
    panel.imshow(sample.pixels, cmap="gray", vmin=0, vmax=255, extent=extent)


def _wrapped(finding: str) -> str:
    return "\n".join(textwrap.wrap(shown(finding), 15))


def _below(sample: Sample) -> Iterator[str]:
    yield shortened(printable(sample.image_id), 28)
    if sample.others:
        yield shortened("+ " + ", ".join(shown(other) for other in sample.others), 34)
