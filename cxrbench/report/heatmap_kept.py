"""What was last explained of a run, kept in its store for the run's page.

::

    results/explanations/RUN_ID/
      record.json   explainer, layer, images, and how well boxes were found
      0.jpg …       some of the images beside their maps
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.canonical import jsonable
from cxrbench.files import read_json, write_bytes, write_json
from cxrbench.report.page.page import data_uri
from cxrbench.store import Store

if TYPE_CHECKING:
    from cxrbench.workflow.explanations import Explanation

SCHEMA_VERSION = 1
"""Of ``record.json``; readers of newer versions keep reading older ones."""

MOST_PICTURES = 4
"""That are kept of a run."""

_TOLD = ("created", "explainer", "layer", "grid", "localisation", "sanity")
_TOLD_OF = ("alt", "name", "caption")
"""What pages show of a record, and of each of its pictures."""

_WIDTH = 440
"""Pixels of a kept picture: to be looked at in a report, in few bytes."""


def keep_heatmaps(store: Store, explanation: Explanation) -> None:
    """Keep what was found of each run in place of what was kept before.

    Args:
        store: where to.
        explanation: what was found.
    """
    from cxrbench.report.heatmap_page import as_jpeg, drawn, localisation_section, told_of
    from cxrbench.report.localisation_table import sanity_sentence
    from cxrbench.report.names import system

    for place, run in enumerate(explanation.runs):
        folder = store.explanations(run.run_id)
        folder.mkdir(parents=True, exist_ok=True)
        # The record goes first: without it nothing is kept, whatever interrupts the rest.
        (folder / "record.json").unlink(missing_ok=True)
        for old in folder.glob("*.jpg"):
            old.unlink()
        name = system(run.record)
        pictures: list[dict[str, str]] = []
        for picture in explanation.pictures[:MOST_PICTURES]:
            # One finding, seen by this run alone.
            findings, seen = picture.findings[:1], (picture.seen[place],)
            alone = replace(picture, findings=findings, seen=seen, activations=())
            file = f"{len(pictures)}.jpg"
            write_bytes(folder / file, as_jpeg(drawn(alone, [run], [name]), _WIDTH))
            pictures.append({"file": file, **told_of(picture, findings)})
        told = {
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "explainer": str(explanation.request.explainer),
            "layer": run.layer,
            "grid": f"{run.grid[0]} × {run.grid[1]}",
            "pictures": pictures,
            "localisation": None if run.localisation is None else localisation_section(run, name),
            "sanity": sanity_sentence(run),
            "nonconforming": run.nonconforming,
        }
        write_json(folder / "record.json", jsonable(told))


def kept_heatmaps(store: Store, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ``heatmap_section.html.j2`` is given of a run.

    Args:
        store: where explanations are kept.
        record: the run's ``run.json``.

    Returns:
        None where the run has no network; ``kept`` is None where nothing was explained, or what was kept is
        damaged or of a newer cxrbench, which is warned of.
    """
    if not record.get("training"):
        return None
    path = store.explanations(str(record["run_id"])) / "record.json"
    if not path.exists():
        return {"run_id": record["run_id"], "kept": None}
    kept = None
    try:
        told = read_json(path)
        if told["schema_version"] <= SCHEMA_VERSION:
            pictures = [
                {**{name: each[name] for name in _TOLD_OF}, "image": _image(path.parent, each)}
                for each in told["pictures"]
            ]
            kept = {
                **{name: told[name] for name in _TOLD},
                # What an older cxrbench kept has no marks.
                "nonconforming": told.get("nonconforming", ()),
                "pictures": pictures,
            }
        else:
            store.reporter.warn(f"{path} was written by a newer cxrbench; update cxrbench to read it.")
    except (OSError, ValueError, KeyError, TypeError):
        # One run's heatmaps must not hide the others.
        store.reporter.warn(f"{path} is damaged; explain {record['run_id']} again.")
    return {"run_id": record["run_id"], "kept": kept}


def _image(folder: Path, picture: Mapping[str, str]) -> str:
    # A file's name may not lead elsewhere.
    return data_uri((folder / Path(picture["file"]).name).read_bytes(), "image/jpeg")
