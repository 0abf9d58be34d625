"""Small images of a run's test set, decoded from the data set where its files are at hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pandas as pd
from PIL import Image

from cxrbench.comparing.stored import StoredRun
from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import Dataset
from cxrbench.options import Use, make
from cxrbench.records import read_record
from cxrbench.registry import Registry
from cxrbench.report.page.page import data_uri
from cxrbench.sources import read_source

SIDE = 112
"""Pixels of a thumbnail's longer side."""


@dataclass
class Thumbnails:
    """Images of a test set as data URIs, each decoded once.

    Attributes:
        dataset: what decodes or draws; None where the runs have no images.
        root: folder of the files.
        sources: the path of each image, by id; empty for drawn ones.
        why_none: why there are none, as a sentence; empty where there are.
        damaged: what was wrong with images that cannot be read, by id.
    """

    dataset: Dataset | None
    root: Path | None
    sources: pd.Series[str]
    why_none: str = ""
    damaged: dict[str, str] = field(default_factory=dict)
    _made: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: Sequence[StoredRun], root: Path | None, registry: Registry) -> Thumbnails:
        """Those of the first network among ``runs``, which all are of one test set, and their members."""
        for run in _with_members(runs):
            if (use := tested_on(run)) is not None:
                sources = run.sources
                if root is None and (sources != "").any():
                    why = f"The images of {use.name} are files; give --data-root their folder to see them."
                    return cls(None, None, sources, why)
                return cls(make(use, "dataset", registry), root, sources)
        why = "The runs are of scores alone, without images."
        return cls(None, root, pd.Series(dtype="str"), why)

    def __call__(self, image_id: str) -> str:
        """The image in JPEG; empty where there is none."""
        if image_id not in self._made:
            self._made[image_id] = self._make(image_id)
        return self._made[image_id]

    def _make(self, image_id: str) -> str:
        if self.dataset is None:
            return ""
        source = self.sources[image_id]
        try:
            content = read_source(self.root, source) if self.root and source else None
            image = Image.fromarray(self.dataset.pixels(content, image_id, SIDE))
        except CxrbenchError as error:
            self.damaged[image_id] = str(error)
            return ""
        image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
        file = BytesIO()
        image.save(file, format="JPEG", quality=80)
        return data_uri(file.getvalue(), "image/jpeg")


def _with_members(runs: Sequence[StoredRun]) -> Iterator[StoredRun]:
    """The runs, then those that the ensembles among them are made of, where they are still in the store."""
    yield from runs
    for run in runs:
        for member in run.record.get("members", ()):
            if member in run.store.run_names():
                record = read_record(run.store.find_run(member))
                if record["passport"]["test_ids"] == run.record["passport"]["test_ids"]:
                    yield StoredRun(run.store, record, run.reader)


def tested_on(run: StoredRun) -> Use | None:
    """The data set that a network was tested on; None of scores and ensembles, which saw no image."""
    record = run.record
    if not record.get("dataset"):
        return None
    kind = "test_dataset" if record.get("test_dataset") else "dataset"
    return Use(name=record[kind], options=record["options"].get(kind, {}))
