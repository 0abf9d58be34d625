"""A data exploration as one page, as a folder of files, and as a table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from rich.text import Text

from cxrbench.exploration import Exploration, Sample, Samples
from cxrbench.files import write_bytes
from cxrbench.findings import NO_FINDING
from cxrbench.report.exploration_figures import exploration_figures
from cxrbench.report.names import title
from cxrbench.report.page.page import data_uri, fixed, percent, render_page
from cxrbench.report.sheet import Format, house_style
from cxrbench.report.tables import heading, plain_table
from cxrbench.roles import ROLES

if TYPE_CHECKING:
    from rich.console import RenderableType

_MOST_PAIRS = 200
_OVER_PARTS = ("female", "male", "sex_unknown", "pa", "ap", "view_unknown")
_SECTIONS = (
    ("findings", "Findings"),
    ("together", "Per image, per patient"),
    ("patients", "Sex, age, view"),
    ("roles", "Roles"),
    ("samples", "Samples"),
)


def write_exploration(
    folder: Path, found: Exploration, samples: Samples, forms: Sequence[Format]
) -> list[Path]:
    """Write ``explore.html``, ``findings.csv``, ``pairs.csv`` and the figures.

    All of it is drawn before anything is written.

    Args:
        folder: is made where there is none; other files in it are left alone.
        found: what was counted.
        samples: images of train.
        forms: in which each figure is written: ``png``, ``svg``, ``pdf``.

    Returns:
        The files, the page first.
    """
    named = title(found.dataset, found.drawn)
    files: dict[str, bytes] = {}
    charts: dict[str, str] = {}
    with house_style():
        for name, sheet in exploration_figures(found, samples.images, named).items():
            if name != "samples":
                charts[name] = data_uri(sheet.body_svg(), "image/svg+xml")
            for form in forms:
                drawn = BytesIO()
                sheet.save(drawn, form)
                files[f"{name}.{form}"] = drawn.getvalue()
    tables = {"findings.csv": found.findings, "pairs.csv": found.pairs()}
    page = render_page("exploration.html.j2", **_context(found, samples, charts, named))
    files = {
        "explore.html": page.encode(),
        **{name: table.to_csv(index=False, lineterminator="\n").encode() for name, table in tables.items()},
        **files,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]


def exploration_table(found: Exploration) -> list[RenderableType]:
    """The findings with their images, in whom, and by role; a dash where undefined."""
    table = plain_table()
    table.add_column("finding", no_wrap=True)
    heads = ("images", "share", "alone", "patients", "unknown", "female", "AP", "age", "boxes")
    for head in (*heads, *(f"{role} %" for role in ROLES)):
        table.add_column(head, justify="right", no_wrap=True)
    for row in (*_rows(found), _everyone(found)):
        table.add_row(
            row["finding"],
            *(fixed(row["images"], 0), percent(row["share"]), fixed(row.get("alone"), 0)),
            *(fixed(row[name], 0) for name in ("patients", "unknown")),
            *(percent(row[f"{name}_share"], 0) for name in ("female", "ap")),
            *(fixed(row[name], 0) for name in ("age_p50", "boxes")),
            *(fixed(100 * row[f"{role}_share"], 1) for role in ROLES),
        )
    images = ", ".join(f"{role} {found.roles[role]['images']:,}" for role in ROLES)
    return [
        heading(f"{title(found.dataset, found.drawn)}: exploration; labels {found.label_version}"),
        table,
        Text(_together(found)),
        Text(f"images: {images}; share: of the images where it is known; age: median; {_COUNTED}"),
    ]


_COUNTED = "labels of all roles are counted, nothing is fitted"


def _context(found: Exploration, samples: Samples, charts: Mapping[str, str], named: str) -> dict[str, Any]:
    """What the page shows."""
    rows = _rows(found)
    everyone = _everyone(found)
    pairs = found.pairs() if found.multilabel else found.pairs().head(0)
    counted = found.labels_per_image["all"].sum()
    by_finding: dict[str, list[dict[str, str]]] = {}
    for sample in samples.images:
        by_finding.setdefault(sample.finding.replace("_", " "), []).append(_picture(sample))
    return {
        "title": named,
        "subtitle": f"Data exploration; labels {found.label_version}",
        "sections": _SECTIONS,
        "facts": [
            ("images", fixed(everyone["images"], 0)),
            ("patients", fixed(everyone["patients"], 0)),
            ("findings", fixed((found.findings["finding"] != NO_FINDING).sum(), 0)),
            ("female", percent(everyone["female_share"], 0)),
            ("AP", percent(everyone["ap_share"], 0)),
            ("median age", fixed(everyone["age_p50"], 0)),
            ("images with unknown labels", fixed(everyone["unknown"], 0)),
            ("boxes", fixed(everyone["boxes"], 0)),
        ],
        "drawn": found.drawn,
        "multilabel": found.multilabel,
        "notes": found.notes,
        "problems": [
            f"{problem.kind.replace('_', ' ')} ({problem.count:,})"
            for problem in found.problems
            if problem.serious
        ],
        "charts": dict(charts),
        "alts": _alternatives(found),
        "sentences": _sentences(found, samples),
        "findings": rows,
        "everyone": everyone,
        "numbers": [
            {"number": number, **counts, "share": _share(counts["all"], counted)}
            for number, counts in found.labels_per_image.to_dict("index").items()
        ],
        "pairs": [
            {**pair, "first": _name(pair["first"]), "second": _name(pair["second"])}
            for pair in pairs.head(_MOST_PAIRS).to_dict("records")
        ],
        "all_pairs": len(pairs),
        "roles": [{"role": role, **counts} for role, counts in found.roles.items()],
        "samples": by_finding,
        "damaged": samples.damaged,
    }


def _rows(found: Exploration) -> list[dict[str, Any]]:
    return [{**_shown(row), "finding": _name(row["finding"])} for row in found.findings.to_dict("records")]


def _everyone(found: Exploration) -> dict[str, Any]:
    return {**_shown(found.everyone), "finding": "all images"}


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with what the tables show besides."""
    train, test = row["train_share"], row["test_share"]
    return {
        **row,
        **{f"{part}_share": _share(row[part], row["images"]) for part in _OVER_PARTS},
        "age_unknown": row["images"] - row["age_known"],
        "shift": _share(test, train),
    }


def _sentences(found: Exploration, samples: Samples) -> dict[str, str]:
    rows = [row for row in _rows(found) if row["finding"] != NO_FINDING]
    most, least = max(rows, key=_images), min(rows, key=_images)
    unknown = found.everyone["unknown"]
    labels = f"{unknown:,} images have labels that are not known." if unknown else "All labels are known."
    shifted = [row for row in _rows(found) if row["shift"] > 0]
    apart = max(shifted, key=lambda row: abs(math.log(row["shift"])), default=None)
    shift = (
        f" Test differs from train most in {apart['finding']}: {percent(apart['test_share'])} against "
        f"{percent(apart['train_share'])} of the images."
        if apart
        else ""
    )
    chosen = "Images of train for each finding, chosen by a hash of their id: the same ones each time."
    return {
        "findings": f"From {most['finding']} ({_images(most):,} images) to {least['finding']} "
        f"({_images(least):,}). {labels}",
        "together": _together(found),
        "roles": "Train fits weights, val selects the epoch, tune fits calibration and thresholds, and test "
        f"is only evaluated.{shift}",
        "samples": chosen if samples.images else "No image of train is shown.",
    }


def _together(found: Exploration) -> str:
    """How many images have one finding, and how many several."""
    counts = found.labels_per_image["all"]
    total, one = int(counts.sum()), int(counts.get(1, 0))
    several, none = int(counts[counts.index > 1].sum()), int(counts.get(0, 0))
    if not found.multilabel:
        return f"Each of {total:,} images with known labels has exactly one class."
    return (
        f"Of {total:,} images whose labels are all known, {percent(_share(none, total))} have no finding, "
        f"{percent(_share(one, total))} one and {percent(_share(several, total))} several; "
        f"of those with any, {percent(found.single_share)} have exactly one."
    )


def _alternatives(found: Exploration) -> dict[str, str]:
    """What each chart shows, for whoever does not see it."""
    beside = "The table of this section has the numbers."
    return {
        "findings": f"Bar chart of images by finding, alone and with others. {beside}",
        "numbers": f"Two bar charts: images by number of findings; patients by number of images. {beside}",
        "together": "Heatmap: of the images with one finding, the share that has another. "
        "The table of pairs has the numbers.",
        "sex": f"Stacked bars: female and male share of the images of each finding. {beside}",
        "age": f"Box plots of age for each finding. {beside}",
        "view": f"Stacked bars: PA and AP share of the images of each finding. {beside}",
        "roles": f"Dot plot of the share of images with each finding in train, val, tune and test. {beside}",
    }


def _picture(sample: Sample) -> dict[str, str]:
    """An image of the page: in JPEG, as it is there to be glanced at."""
    file = BytesIO()
    Image.fromarray(sample.pixels).save(file, format="JPEG", quality=85)
    who = [] if math.isnan(sample.age) else [f"{sample.age:.0f} years"]
    who += [value for value in (sample.sex, sample.view) if value]
    caption = "; ".join(filter(None, (", ".join(who), " + ".join(map(_name, sample.others)))))
    return {
        "image": data_uri(file.getvalue(), "image/jpeg"),
        "alt": f"Chest image with {_name(sample.finding)}",
        "name": sample.image_id,
        "caption": caption,
    }


def _images(row: Mapping[str, Any]) -> int:
    return int(row["images"])


def _name(finding: str) -> str:
    return str(finding).replace("_", " ")


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
