"""The files of an ensemble beside those of every run: its page, figures and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cxrbench.files import write_text
from cxrbench.report.ensemble_figures import (
    BASELINES,
    HEADS,
    ensemble_figures,
    fitness_head,
    member_name,
    told_figures,
)
from cxrbench.report.page.page import data_uri, fixed, write_page
from cxrbench.report.sheet import house_style

ALTS = {
    "weights": "The weight of each member, with its range over restarts.",
    "test": "Macro-F1 and macro AUC on test of the ensemble and the baselines, with 95% intervals.",
    "convergence": "Best and mean fitness on tune against the number of ensembles evaluated.",
    "left_out": "What the ensemble loses without each member, on tune and on test.",
    "front": "Fitness on tune against cost of the ensembles that no other one beats in both.",
}


def write_ensemble(
    folder: Path, name: str, told: Mapping[str, Any], trace: Sequence[Mapping[str, Any]]
) -> None:
    """Write ``ensemble.html``, ``ensemble_members.csv``, ``ensemble_trace.csv`` and the figures as PNG.

    Args:
        folder: of the run.
        name: of the search.
        told: of the ensemble, see :func:`cxrbench.workflow.contrast.contrast`.
        trace: of its search.
    """
    rows, head = member_rows(told), fitness_head(told)
    write_text(folder / "ensemble_members.csv", pd.DataFrame(rows).to_csv(index=False))
    if trace:
        write_text(folder / "ensemble_trace.csv", pd.DataFrame(trace).to_csv(index=False))
    charts = {}
    with house_style():
        for figure, sheet in ensemble_figures(name, told, trace).items():
            sheet.save(folder / f"ensemble_{figure}.png")
            charts[figure] = data_uri(sheet.body_svg(), "image/svg+xml")
    write_page(
        folder / "ensemble.html",
        "ensemble.html.j2",
        title=f"Ensemble: {name} of {len(rows)} runs",
        subtitle=f"{head} on tune made as high as it can be; {told['combine']} combined",
        charts=charts,
        alts=ALTS,
        members=rows,
        per_finding=finding_weights(told),
        systems=system_rows(name, told),
        differences=difference_rows(told),
        front=[{"cost": point["cost"], "fitness": point["fitness"]} for point in told["front"]],
        whole_costs=all(float(point["cost"]).is_integer() for point in told["front"]),
        notes=told["notes"],
        head=head,
        seconds=fixed(told["seconds"], 1),
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
        {"baseline": BASELINES[key], "figure": HEADS.get(figure, figure), **gap}
        for key, each in told["baselines"].items()
        for figure, gap in each["difference"].items()
    ]
