"""Heatmaps as one page, figures and tables in files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from cxrbench.files import write_bytes, write_text
from cxrbench.localisation.scoring import ALL, METRICS
from cxrbench.report.heatmap_figure import activation_figure, heatmap_figure
from cxrbench.report.localisation_table import KINDS, SHOWN, cutoff_sentence, sanity_sentence
from cxrbench.report.names import apart, data_of
from cxrbench.report.page.page import data_uri, fixed, write_page
from cxrbench.report.sheet import Sheet, house_style, shown
from cxrbench.workflow.explanations import Explanation, OfRun, Picture


def write_heatmaps(folder: Path, explanation: Explanation) -> list[Path]:
    """Write ``heatmaps.html``, ``scores.csv``, a PNG an image and, where boxes were scored, their tables.

    Returns:
        The files, the page first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    common, names = apart([run.record for run in explanation.runs])
    sheets = {
        f"{place:03d}-{_file_name(picture.image_id)}{suffix}.png": (picture, content)
        for place, picture in enumerate(explanation.pictures)
        for suffix, content in _drawn(picture, explanation, names).items()
    }
    for name, (_, content) in sheets.items():
        write_bytes(folder / name, content)
    tables = {"scores.csv": explanation.scores, **_tables(explanation)}
    for name, table in tables.items():
        write_text(folder / name, table.to_csv(index=False, float_format="%.6g"))
    page = folder / "heatmaps.html"
    write_page(
        page,
        "heatmaps.html.j2",
        title="Where networks look",
        subtitle=f"{data_of(explanation.runs[0].record)}; {explanation.request.explainer}. A heatmap shows "
        "what raises a network's score; it is no proof of why.",
        facts=[("common to all", common)] if common else [],
        sections=[
            *([("localisation", "Boxes found")] if explanation.request.boxes else []),
            ("images", "Images"),
            ("sanity", "Sanity"),
        ],
        scored=[
            localisation_section(run, name)
            for run, name in zip(explanation.runs, names, strict=True)
            if run.localisation
        ],
        pictures=[
            {
                "image": data_uri(as_jpeg(content), "image/jpeg"),
                **told_of(picture, picture.findings),
            }
            for picture, content in sheets.values()
        ],
        sanity=[(name, sanity_sentence(run)) for run, name in zip(explanation.runs, names, strict=True)],
        nonconforming=list(dict.fromkeys(clause for run in explanation.runs for clause in run.nonconforming)),
        scores=explanation.scores.assign(
            called=lambda table: table["called"].map({True: "called", False: ""}).fillna("")
        ).to_dict("records"),
    )
    return [page, *(folder / name for name in [*tables, *sheets])]


def _drawn(picture: Picture, explanation: Explanation, names: list[str]) -> dict[str, bytes]:
    found = {"": drawn(picture, explanation.runs, names)}
    if layer := explanation.request.activations:
        with house_style():
            found["-activations"] = _png(activation_figure(picture, explanation.runs, names, layer))
    return found


def drawn(picture: Picture, runs: Sequence[OfRun], names: Sequence[str]) -> bytes:
    """An image beside the maps of runs, as PNG."""
    with house_style():
        return _png(heatmap_figure(picture, runs, names))


def _png(sheet: Sheet) -> bytes:
    file = BytesIO()
    sheet.save(file)
    return file.getvalue()


def as_jpeg(png: bytes, width: int | None = None) -> bytes:
    """A figure as a page has it, at most ``width`` pixels wide: to be looked at, in a fifth of the bytes."""
    file, image = BytesIO(), Image.open(BytesIO(png)).convert("RGB")
    if width is not None:
        image.thumbnail((width, image.height), Image.Resampling.LANCZOS)
    image.save(file, format="JPEG", quality=85)
    return file.getvalue()


def told_of(picture: Picture, findings: Sequence[str]) -> dict[str, str]:
    """What stands below and for a picture that shows maps for these findings."""
    return {
        "alt": f"Image {picture.image_id} and, beside it, heatmaps for {', '.join(findings)}",
        "name": picture.image_id,
        "caption": _caption(picture),
    }


def _tables(explanation: Explanation) -> dict[str, pd.DataFrame]:
    found = [(run, run.localisation) for run in explanation.runs if run.localisation is not None]
    if not found:
        return {}
    tables, differences = (
        pd.concat([table.assign(run=run.run_id, layer=run.layer) for run, table in each], ignore_index=True)
        for each in (
            [(run, each.table) for run, each in found],
            [(run, each.differences) for run, each in found],
        )
    )
    figures = ["value", "low", "high", "pairs", "patients"]
    return {
        "localisation.csv": tables[["run", "layer", "maps", "finding", "metric", *figures, "cutoff"]],
        "localisation_differences.csv": differences[["run", "layer", "less", "finding", "metric", *figures]],
    }


def localisation_section(run: OfRun, name: str) -> dict[str, Any]:
    """The tables of a run: means over findings of each kind of map, and each finding's figures.

    What the macro ``localisation`` of ``heatmap_section.html.j2`` is given.
    """
    found = run.localisation
    assert found is not None
    wide = found.table.pivot(index=["maps", "finding"], columns="metric", values="value")
    low, high = (
        found.table.pivot(index=["maps", "finding"], columns="metric", values=end) for end in ("low", "high")
    )
    counts = found.table.groupby("finding")["pairs"].first()
    network = found.table[found.table["maps"] == "network"].groupby("finding")["cutoff"].first()

    def row(kind: str, finding: str) -> dict[str, Any]:
        return {
            "maps": KINDS[kind],
            "finding": shown(finding),
            **{metric: wide.loc[(kind, finding), metric] for metric in METRICS},
            "interval": f"{fixed(low['iobb_0.25'][kind, finding], 2)} to "
            f"{fixed(high['iobb_0.25'][kind, finding], 2)}",
            "pairs": counts[finding],
            "cutoff": network.get(finding),
        }

    return {
        "name": name,
        "layer": run.layer,
        "grid": f"{run.grid[0]} × {run.grid[1]}",
        "pairs": len(found.pairs),
        "cutoffs": cutoff_sentence(found),
        "empty": found.empty,
        "shown": [(name, metric, 3) for metric, name in SHOWN.items()],
        "means": [row(kind, ALL) for kind in KINDS],
        "findings": [row("network", finding) for finding in found.pairs.names],
        "compared": [
            {
                "finding": shown(finding),
                "pairs": counts[finding],
                **{kind: wide.loc[(kind, finding), "iobb_0.25"] for kind in KINDS},
            }
            for finding in found.pairs.names
        ],
        "kinds": [(name, kind, 3) for kind, name in KINDS.items()],
        "accuracy": _accuracies(wide, found.pairs.names),
        "limits": [(_heading(metric), metric, 3) for metric in METRICS if metric.startswith(("iobb", "iou"))],
    }


def _accuracies(wide: pd.DataFrame, findings: list[str]) -> list[Mapping[str, Any]]:
    of_network = wide.xs("network")
    return [
        {"finding": shown(name), **dict(zip(map(str, wide), of_network.T[name], strict=True))}
        for name in (*findings, ALL)
    ]


def _heading(metric: str) -> str:
    measure, limit = metric.split("_")
    return f"{'IoBB' if measure == 'iobb' else 'IoU'} > {limit.removeprefix('0')}"


def _caption(picture: Picture) -> str:
    present = [str(name).replace("_", " ") for name, label in picture.labels.items() if label == 1]
    return f"{picture.role}: {', '.join(present) or 'No Finding'}"


def _file_name(image_id: str) -> str:
    """An image's id as part of a file's name, which leads nowhere else."""
    return re.sub(r"[^\w.-]+", "_", image_id)[:80]
