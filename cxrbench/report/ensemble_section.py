"""What pages show of an ensemble: its own page, and its run's on a leaderboard."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cxrbench.leaderboard.entries import defined
from cxrbench.report.ensemble_figures import BASELINES, figure_head, fitness_head, member_name, told_figures
from cxrbench.report.page.charts import Bar, Chart, bar
from cxrbench.report.page.page import fixed
from cxrbench.report.page.paths import Scale, about_zero, line, scale_of, tick

TRACE = "ensemble_trace.csv"
"""The search's way, in the run's folder."""


def ensemble_section(
    name: str, told: Mapping[str, Any], trace: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What ``ensemble_section.html.j2`` is given.

    Args:
        name: of the search.
        told: of the ensemble, see :func:`cxrbench.workflow.contrast.contrast`.
        trace: of its search.
    """
    head = fitness_head(told)
    return {
        "head": head,
        "combine": told["combine"],
        "seconds": fixed(told["seconds"], 1),
        "notes": told["notes"],
        "members": _members(told),
        "figures": [figure_head(told, figure) for figure in told_figures(told)],
        "systems": _systems(name, told),
        "differences": _differences(told),
        "per_finding": finding_weights(told),
        "convergence": _convergence(head, trace),
        "front": [{"cost": point["cost"], "fitness": point["fitness"]} for point in told["front"]],
        "front_chart": _front(head, told),
        "whole_costs": all(float(point["cost"]).is_integer() for point in told["front"]),
    }


def section_of_run(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """The section of a stored run; None where it is no ensemble.

    Args:
        record: its ``run.json``, with ``path``.
    """
    if "ensemble" not in record:
        return None
    return ensemble_section(record["search"], record["ensemble"], read_trace(Path(record["path"])))


def read_trace(folder: Path) -> list[dict[str, float]]:
    """The trace in a run's folder; none of what does not search."""
    path = folder / TRACE
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value or "nan") for name, value in row.items()} for row in csv.DictReader(file)]


def _members(told: Mapping[str, Any]) -> dict[str, Any]:
    """Members with bars of their weights, over restarts, and of what the ensemble loses without them."""
    rows = member_rows(told)
    weights = scale_of([0.0, *(row[name] for row in rows for name in ("weight", "highest"))])
    gaps = [row[f"auc_{end}"] for row in rows for end in ("value", "low", "high")]
    lost = about_zero(gaps, least=0.001)
    for row in rows:
        row["weights"] = bar(row["weight"], row["lowest"], row["highest"], weights)
        row["lost"] = _bar(row, ("auc_value", "auc_low", "auc_high"), lost)
    return {
        "rows": rows,
        "weights": ("0", tick(weights.high)),
        "lost": (tick(lost.low), tick(lost.high), lost.place(0.0)),
        "alone": len(rows) == 1,
    }


def _systems(name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The ensemble and its baselines with a bar of each figure on test."""
    rows = system_rows(name, told)
    scales = []
    for figure in told_figures(told):
        ends = [defined(row[f"{figure}_{end}"]) for row in rows for end in ("test", "low", "high")]
        scale = scale_of(ends)
        scales.append((tick(scale.low), tick(scale.high)))
        for row in rows:
            names = (f"{figure}_test", f"{figure}_low", f"{figure}_high")
            row.setdefault("cells", []).append(
                {
                    "tune": row[f"{figure}_tune"],
                    "cross": row[f"{figure}_cross"],
                    "test": row[names[0]],
                    "interval": _ends(defined(row[names[1]]), defined(row[names[2]])),
                    "bar": _bar(row, names, scale),
                }
            )
    return {"rows": [{"system": row["system"], "cells": row["cells"]} for row in rows], "scales": scales}


def _bar(row: Mapping[str, Any], names: tuple[str, str, str], scale: Scale) -> Bar:
    """Of a figure and the ends of its interval, by their names in the row."""
    value, low, high = (defined(row[name]) for name in names)
    return bar(value, low, high, scale)


def _ends(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"[{fixed(low, 4)}, {fixed(high, 4)}]"


def _differences(told: Mapping[str, Any]) -> dict[str, Any]:
    rows = difference_rows(told)
    scale = about_zero([row[end] for row in rows for end in ("value", "low", "high")], least=0.001)
    for row in rows:
        row["bar"] = _bar(row, ("value", "low", "high"), scale)
    return {"rows": rows, "scale": (tick(scale.low), tick(scale.high), scale.place(0.0))}


def _convergence(head: str, trace: Sequence[Mapping[str, float]]) -> Chart | None:
    """The best so far and the mean of each restart, against the ensembles evaluated in it."""
    if len(trace) < 2:
        return None
    across = Scale(0.0, max(row["evaluations"] for row in trace))
    up = scale_of([row[name] for row in trace for name in ("best", "mean")])
    restarts = [
        [row for row in trace if row["restart"] == restart]
        for restart in sorted({row["restart"] for row in trace})
    ]
    lines = {
        look: "".join(
            line([row["evaluations"] for row in rows], [row[name] for row in rows], across, up)
            for rows in restarts
        )
        for look, name in (("faint", "mean"), ("main", "best"))
    }
    return Chart(
        "convergence",
        f"Best and mean {head} on tune over up to {across.high:,.0f} ensembles, {len(restarts)} restarts",
        lines,
        ends=("0", f"{across.high:,.0f}", tick(up.low), tick(up.high)),
    )


def _front(head: str, told: Mapping[str, Any]) -> Chart | None:
    """Fitness against cost."""
    if len(told["front"]) < 2:
        return None
    costs, values = ([point[name] for point in told["front"]] for name in ("cost", "fitness"))
    across, up = Scale(0.0, max(costs)), scale_of(values)
    return Chart(
        "front",
        f"{head} on tune against cost of {len(costs)} ensembles",
        {"main": line(costs, values, across, up)},
        ends=("0", f"{across.high:.4g}", tick(up.low), tick(up.high)),
        dots=tuple((across.place(x), up.place(y), 1) for x, y in zip(costs, values, strict=True)),
    )


def member_rows(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a member, flat."""
    return [
        {
            "member": member_name(row),
            "run": row["run_id"],
            "weight": row["weight"],
            "lowest": row["lowest"],
            "highest": row["highest"],
            "fitness": row["fitness"],
            "lost_on_tune": row["lost_on_tune"],
            **{f"auc_{end}": (row["lost_auc"] or {}).get(end) for end in ("value", "low", "high")},
        }
        for row in told["members"]
    ]


def finding_weights(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a finding with each member's weight, where findings have their own; else none."""
    weights = list(told["weights"].values())
    if not isinstance(weights[0], Mapping):
        return []
    return [
        {"finding": finding, **{str(place): each[finding] for place, each in enumerate(weights)}}
        for finding in weights[0]
    ]


def system_rows(name: str, told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for the ensemble and each baseline: what tune promised, and what test gives."""
    rows = []
    for heading, each in [(name, told), *((BASELINES[key], row) for key, row in told["baselines"].items())]:
        row: dict[str, Any] = {"system": heading}
        for figure in told_figures(told):
            test = each["test"].get(figure, {"value": None, "low": None, "high": None})
            row |= {
                f"{figure}_tune": each["tune"][figure],
                f"{figure}_cross": each["cross_fitted"][figure],
                f"{figure}_test": test["value"],
                f"{figure}_low": test["low"],
                f"{figure}_high": test["high"],
            }
        rows.append(row)
    return rows


def difference_rows(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row a baseline and figure: the ensemble's less the baseline's, on test."""
    return [
        {"baseline": BASELINES[key], "figure": figure_head(told, figure), **gap}
        for key, each in told["baselines"].items()
        for figure, gap in each["difference"].items()
    ]
