"""An error analysis as one page, as a folder of files, and as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from cxrbench.error_analysis.analysis import ErrorAnalysis
from cxrbench.error_analysis.counts import together
from cxrbench.error_analysis.images import groups, hardest
from cxrbench.error_analysis.panel import DECISIONS, IMAGES, Panel
from cxrbench.error_analysis.slices import LEAST
from cxrbench.error_analysis.thumbnails import Thumbnails
from cxrbench.files import write_bytes
from cxrbench.report.error_figures import agreement_figure, overlap_figure, slice_name, slices_figure
from cxrbench.report.error_section import error_section, question_name
from cxrbench.report.page.page import data_uri, fixed, percent, render_page
from cxrbench.report.sheet import Format, Sheet, house_style
from cxrbench.report.tables import heading, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

_SECTIONS = (
    ("runs", "Runs"),
    ("counts", "Counts"),
    ("agreement", "Agreement"),
    ("overlap", "Overlap"),
    ("slices", "Slices"),
    ("confusions", "Taken for another"),
    ("labels", "Labels"),
    ("hardest", "Hardest images"),
    ("images", "Images by class"),
)
_MOST_ROWS = 30
_LABEL_IMAGES = 24
_WHOLE = (IMAGES, DECISIONS)


def write_errors(
    folder: Path,
    found: ErrorAnalysis,
    named: str,
    pictures: Thumbnails,
    each: int,
    forms: Sequence[Format],
) -> list[Path]:
    """Write ``errors.html``, a CSV file for each table, and the figures, once all of it is made.

    Args:
        folder: is made where there is none; other files in it are left alone.
        found: what was found.
        named: what the runs were tested on.
        pictures: makes small images.
        each: images of a class and outcome that the page shows.
        forms: in which each figure is written.

    Returns:
        The files, the page first.
    """
    figures: dict[str, bytes] = {}
    charts: dict[str, str] = {}
    with house_style():
        for name, sheet in _sheets(found, named).items():
            if name == "slices":
                charts[name] = data_uri(sheet.body_svg(), "image/svg+xml")
            for form in forms:
                drawn = BytesIO()
                sheet.save(drawn, form)
                figures[f"{name}.{form}"] = drawn.getvalue()
    page = render_page("errors.html.j2", **_context(found, named, pictures, each, charts))
    files = {
        "errors.html": page.encode(),
        **{
            f"{name}.csv": table.to_csv(index=False, lineterminator="\n").encode()
            for name, table in found.tables.items()
        },
        **figures,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]


def error_tables(found: ErrorAnalysis) -> list[RenderableType]:
    """The counts, a row a question; then what each run gets wrong, and what only it does."""
    members = found.panel.members
    several = len(members) > 1
    counts, by_run = plain_table(), plain_table()
    counts.add_column("of", no_wrap=True)
    heads = ["all right", "all wrong", "some wrong", "Fleiss' kappa"] if several else ["right", "wrong"]
    for head in ("counted", "left out", *heads):
        counts.add_column(head, justify="right", no_wrap=True)
    for row in found.counts.to_dict("records"):
        cells = [fixed(row[name], 0) for name in ("units", "left_out", "all_right", "all_wrong")]
        if several:
            cells += [fixed(row["some_wrong"], 0), fixed(row["fleiss_kappa"])]
        counts.add_row(question_name(row["of"]), *cells)
    by_run.add_column("run", overflow="fold", min_width=16)
    by_run.add_column("of", no_wrap=True)
    for head in (
        "wrong",
        "rate",
        "missed",
        "false",
        *(["only it wrong", "only it right"] if several else []),
    ):
        by_run.add_column(head, justify="right", no_wrap=True)
    names = {member.run_id: member.name for member in members}
    for row in found.by_run[found.by_run["of"].isin(_WHOLE)].to_dict("records"):
        cells = [fixed(row["wrong"], 0), percent(row["error_rate"])]
        cells += [fixed(row.get(name), 0) for name in ("missed", "false")]
        cells += [fixed(row[name], 0) for name in ("only_wrong", "only_right")] if several else []
        by_run.add_row(names[row["run"]], question_name(row["of"]), *cells)
    lines = [] if several else ["Agreement, and what only one run gets wrong, need two runs."]
    lead = found.leading_slices.head(5)
    lines += [
        f"Excess error: {slice_name(row)}: {percent(row['error'])}, the rest {percent(row['rest'])}; "
        f"{fixed(row['images'], 0)} images"
        for row in lead.to_dict("records")
        if row["low"] > 0
    ]
    lines.append(
        f"{len(found.errors):,} decisions that some run gets wrong, {len(found.label_errors):,} labels that "
        "are likely wrong; exploratory: what is found here was looked for on test."
    )
    return [
        heading(f"Errors on test set {found.panel.cohort.passport}"),
        counts,
        Text(),
        by_run,
        Text(),
        *map(Text, lines),
    ]


def _sheets(found: ErrorAnalysis, named: str) -> dict[str, Sheet]:
    panel = found.panel
    title = f"{named}: errors"
    whole = [each for each in panel.questions if each.name in (IMAGES, DECISIONS)]
    sheets = {"slices": slices_figure(found.leading_slices, title)}
    if len(panel.members) > 1:
        sheets |= {f"overlap_{each.name}": overlap_figure(panel, each, title) for each in whole}
    if len(panel.members) > 2:
        sheets["agreement"] = agreement_figure(panel, whole[-1], title)
    return sheets


def _context(
    found: ErrorAnalysis, named: str, pictures: Thumbnails, each: int, charts: dict[str, str]
) -> dict[str, Any]:
    panel = found.panel
    letters = {member.run_id: member.letter for member in panel.members}
    several = len(panel.members) > 1
    sections = tuple(section for section in _SECTIONS if several or section[0] != "overlap")
    confusions = found.confusions[found.confusions["excess"] > 0].head(_MOST_ROWS)
    context: dict[str, Any] = {
        "title": named,
        "subtitle": f"Error analysis of {len(panel.members)} run{'s' if several else ''}",
        "sections": sections,
        "facts": _facts(found),
        "several": several,
        "multilabel": panel.multilabel,
        "together": error_section(together(panel)),
        "of_runs": [
            {
                **row,
                "of": question_name(row["of"]),
                "whole": row["of"] in _WHOLE,
                "letter": letters[row["run"]],
            }
            for row in found.by_run.to_dict("records")
        ],
        "agreement": [
            {
                **row,
                "of": question_name(row["of"]),
                "whole": row["of"] in _WHOLE,
                "pair": f"{letters[row['first']]} and {letters[row['second']]}",
            }
            for row in found.agreement.to_dict("records")
        ],
        "charts": {"slices": charts["slices"]},
        "slices": [
            {**row, "name": slice_name(row)}
            for row in found.leading_slices.head(_MOST_ROWS).to_dict("records")
        ],
        "confusions": [
            {
                **row,
                "present": _name(row["present"]),
                "called": _name(row["called"]),
                "letter": letters[row["run"]],
            }
            for row in confusions.to_dict("records")
        ],
        "label_counts": _label_counts(found),
        "label_images": [
            _of_label(panel, pictures, row)
            for row in found.label_errors.head(_LABEL_IMAGES).to_dict("records")
        ],
        "hardest": [_hard(panel, pictures, row) for row in hardest(panel).tolist()],
        "by_class": _by_class(panel, pictures, each),
        "sentences": _sentences(found),
        "damaged": pictures.damaged,
    }
    context["notes"] = [
        *([pictures.why_none] if pictures.why_none else []),
        "This is exploratory: test labels are looked at, and what is found here may not be fitted to.",
        "The CSV files beside this page have every row of its tables, and every error.",
    ]
    return context


def _facts(found: ErrorAnalysis) -> list[tuple[str, str]]:
    panel = found.panel
    (images,) = found.counts[found.counts["of"] == IMAGES].to_dict("records")
    if len(panel.members) > 1:
        counted = [("all right", fixed(images["all_right"], 0)), ("all wrong", fixed(images["all_wrong"], 0))]
    else:
        counted = [("right", fixed(images["all_right"], 0)), ("wrong", fixed(images["all_wrong"], 0))]
    return [
        ("images", fixed(images["units"], 0)),
        *counted,
        ("patients", fixed(panel.cohort.patients.nunique(), 0)),
        ("likely wrong labels", fixed(len(found.label_errors), 0)),
        ("passport", panel.cohort.passport),
    ]


def _sentences(found: ErrorAnalysis) -> dict[str, str]:
    panel = found.panel
    if panel.multilabel:
        counts = (
            "A whole image is right where every decision on it is; a decision is one about one finding. "
            "Labels that are not known, and decisions that a run leaves open, are left out for all runs."
        )
        confusions = (
            "How often a finding is called, though absent, on images where another is present, against how "
            "often it is falsely called over all images."
        )
        slices = (
            "Any error: the share of an image's decisions that is wrong. Missed: of images with the finding; "
            "with another: against those that have the finding but not the other."
        )
    else:
        counts = "An image is right where its class is called. A class's row is of the images that are of it."
        confusions = "Images of a class that are called another, against how often that is over all others."
        slices = "Any error: the share of images called wrongly. Missed: of images of the class."
    many = len(found.leading_slices)
    return {
        "counts": counts,
        "agreement": "What runs call, whoever is right. Kappa is agreement beyond chance: 1 is full, 0 none; "
        "a dash where chance alone would agree fully.",
        "slices": f"{slices} {many:,} slices were looked at; p is adjusted for that (Holm). Slices of fewer "
        f"than {LEAST} patients, or with so few in the rest, are left out.",
        "confusions": confusions,
        "labels": (
            f"Confident learning on the mean of the runs' probabilities takes {len(found.label_errors):,} "
            "labels for wrong that most runs decide against; the least credible are shown. This is for "
            "people to look at: where networks err alike, a hard image is taken for a wrong label."
            if len(found.label_errors)
            else "Confident learning takes no label for wrong."
        ),
        "images": "Of each class, with the number of images and those first on which runs are most sure; "
        "below each image every run's probability of the class (called ones are marked *).",
    }


def _label_counts(found: ErrorAnalysis) -> list[dict[str, Any]]:
    rows = []
    runs = len(found.panel.members)
    for name in found.panel.classes:
        of = found.label_errors[found.label_errors["finding"] == name]
        if len(of):
            present = int((of["label"] == 1).sum())
            against = int((of["runs_against"] == runs).sum())
            rows.append(
                {
                    "finding": _name(name),
                    "all": len(of),
                    "present": present,
                    "absent": len(of) - present,
                    "all_against": against,
                }
            )
    return rows


def _of_label(panel: Panel, pictures: Thumbnails, row: dict[Any, Any]) -> dict[str, str]:
    place = panel.cohort.image_ids.tolist().index(row["image_id"])
    column = panel.classes.index(row["finding"])
    if panel.multilabel:
        label = f"{_name(row['finding'])}: labelled {'present' if row['label'] else 'absent'}"
    else:
        label = f"labelled {_name(row['finding'])}, rather {_name(row['suggested'])}"
    return _picture(panel, pictures, place, f"{label}; {_scores(panel, place, column)}")


def _hard(panel: Panel, pictures: Thumbnails, row: int) -> dict[str, Any]:
    labels = panel.cohort.labels[row]
    called = np.any([member.decisions[row] == 1 for member in panel.members], axis=0)
    # What is there first.
    columns = [*np.flatnonzero(labels == 1), *np.flatnonzero((labels != 1) & called)]
    lines = [
        {
            "name": _name(panel.classes[column]),
            "there": bool(labels[column] == 1),
            "scores": _scores(panel, row, int(column)),
        }
        for column in columns
    ]
    return {**_picture(panel, pictures, row, ""), "lines": lines}


def _by_class(panel: Panel, pictures: Thumbnails, each: int) -> dict[str, list[dict[str, Any]]]:
    by_class: dict[str, list[dict[str, Any]]] = {}
    for group in groups(panel):
        column = panel.classes.index(group.finding)
        shown = [
            _picture(panel, pictures, row, _scores(panel, row, column)) for row in group.rows[:each].tolist()
        ]
        told = {"name": group.name[0].upper() + group.name[1:], "count": len(group.rows), "images": shown}
        by_class.setdefault(_name(group.finding), []).append(told)
    return by_class


def _scores(panel: Panel, row: int, column: int) -> str:
    """Every run's probability of a class, called ones marked."""
    return ", ".join(
        f"{member.letter}\N{NO-BREAK SPACE}{member.probabilities[row, column]:.2f}"
        f"{'*' if member.decisions[row, column] == 1 else ''}"
        for member in panel.members
    )


def _picture(panel: Panel, pictures: Thumbnails, row: int, caption: str) -> dict[str, str]:
    image_id = str(panel.cohort.image_ids[row])
    return {
        "image": pictures(image_id),
        "alt": f"Chest image {image_id}",
        "name": image_id,
        "caption": caption,
    }


def _name(finding: object) -> str:
    return str(finding).replace("_", " ")
