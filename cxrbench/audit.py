"""What is in a data set, and what is wrong with it, before anything is trained on it.

An audit counts labels of every role, test too, and fits nothing: it reads the tables themselves, not
:class:`cxrbench.data.Data`, whose log is for what a run was made from. So it needs no store and leaves none.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cxrbench.collection import OFFICIAL, Collection, Oddities, Problem
from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.findings import NO_FINDING
from cxrbench.interfaces import Dataset
from cxrbench.reporter import Reporter
from cxrbench.roles import ROLES, shared_patients
from cxrbench.selection import Selected
from cxrbench.sources import read_source

UNKNOWN = "unknown"
"""How tables name an age, sex or view that is not known."""

_BANDS = {"0-17": 0, "18-39": 18, "40-59": 40, "60-79": 60, "80+": 80}
"""Ages in years by where each band begins."""

_SIDE = 64
"""Only for data sets that draw from a file's content; the others decode at the image's own size."""

_CHUNK = 512
"""Images that wait for a thread at most, so that memory does not grow with the data set."""

Counts = dict[str, dict[str, int]]
"""Images by value and role."""


@dataclass(frozen=True, slots=True)
class Pixels:
    """What a pass over the image files found.

    Attributes:
        images: how many files were read.
        damaged: what is wrong with each image that a run could not read, by image id.
        duplicates: sorted ids of images that show the same grey levels, group by group.
    """

    images: int
    damaged: dict[str, str]
    duplicates: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        dataset: name of the data set.
        label_version: which labels.
        listed: images that each official list names.
        present: those of them that are at hand and have labels, excluded ones too.
        images: images in use, by role.
        patients: patients with images in use, by role.
        findings: images with each finding, and with none of them where the task is multi-label.
        sex: images of ``M``, ``F`` and unknown.
        age: images by age in years.
        view: images that are ``PA``, ``AP`` and unknown.
        shared: patients with images in both roles of each pair.
        pixels: what the pass over the files found; None where there was none.
        problems: everything that is odd, the serious first.
        notes: what the data set and the selection say of themselves.
    """

    dataset: str
    label_version: str
    listed: dict[str, int]
    present: dict[str, int]
    images: dict[str, int]
    patients: dict[str, int]
    findings: Counts
    sex: Counts
    age: Counts
    view: Counts
    shared: dict[str, int]
    pixels: Pixels | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def shared_patients(self) -> int:
        """Patients shared between two roles, summed over the pairs of roles."""
        return sum(self.shared.values())

    @property
    def clean(self) -> bool:
        """Whether no problem is serious."""
        return not any(found.serious for found in self.problems)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "dataset": self.dataset,
            "label_version": self.label_version,
            "clean": self.clean,
            "listed": self.listed,
            "present": self.present,
            "roles": {role: {"images": self.images[role], "patients": self.patients[role]} for role in ROLES},
            "findings": self.findings,
            "sex": self.sex,
            "age": self.age,
            "view": self.view,
            "shared_patients": self.shared_patients,
            "shared_by_roles": self.shared,
            "pixels": None if self.pixels is None else asdict(self.pixels),
            "problems": [found.record() for found in self.problems],
            "notes": self.notes,
        }


def audit(whole: Collection, selected: Selected, pixels: Pixels | None) -> Audit:
    """Count what a data set holds and what is wrong with the part that is selected.

    Args:
        whole: the data set as it was read.
        selected: the part that is used, and its roles.
        pixels: what :func:`look_at` found, or None.
    """
    used, roles = selected.collection, selected.roles
    manifest = used.manifest
    shared = shared_patients(manifest, roles)
    odd = Oddities()
    odd.add("missing_labels", used.labels.index[used.labels.isna().any(axis=1)])
    if pixels:
        odd.add("damaged_images", pixels.damaged, serious=True)
    problems = [
        *used.problems,
        *odd.problems,
        *_shared(manifest, roles),
        *_duplicates(pixels, manifest, roles),
    ]
    return Audit(
        dataset=used.name,
        label_version=used.label_version,
        listed={name: whole.listed.get(name, 0) for name in OFFICIAL},
        present={name: int((whole.manifest["official"] == name).sum()) for name in OFFICIAL},
        images={role: int((roles == role).sum()) for role in ROLES},
        patients={role: int(manifest["patient_id"][roles == role].nunique()) for role in ROLES},
        findings=_findings(used, roles),
        sex=_counts(manifest["sex"], ("M", "F"), roles),
        age=_counts(_bands(manifest["age"]), tuple(_BANDS), roles),
        view=_counts(manifest["view"], ("PA", "AP"), roles),
        shared=shared,
        pixels=pixels,
        problems=tuple(sorted(problems, key=lambda found: not found.serious)),
        notes=used.notes,
    )


def look_at(dataset: Dataset, root: Path | None, manifest: pd.DataFrame, reporter: Reporter) -> Pixels:
    """Read and decode every image file of a manifest; drawn images have none and are passed over.

    Of an image no more is kept than a hash of its shape and grey levels.
    """
    files = [file for file in zip(manifest.index, manifest["source"], strict=True) if file[1]]
    damaged: dict[str, str] = {}
    by_content: defaultdict[bytes, list[str]] = defaultdict(list)
    with (
        reporter.progress("reading images", len(files)) as advance,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        for start in range(0, len(files), _CHUNK):
            chunk = files[start : start + _CHUNK]
            looks = pool.map(lambda file: _look(dataset, root, *file), chunk)
            for (image_id, _), look in zip(chunk, looks, strict=True):
                if isinstance(look, str):
                    damaged[image_id] = look
                else:
                    by_content[look].append(image_id)
                advance(1, f"{len(damaged)} damaged" if damaged else "")
    groups = sorted(tuple(sorted(ids)) for ids in by_content.values() if len(ids) > 1)
    return Pixels(len(files), damaged, tuple(groups))


def _look(dataset: Dataset, root: Path | None, image_id: str, source: str) -> bytes | str:
    """A hash of an image's shape and grey levels, or what is wrong with its file."""
    try:
        content = None if root is None else read_source(root, source)
        grey = dataset.pixels(content, image_id, _SIDE)
    except CxrbenchError as error:
        # One file that the operating system does not give, or that needs another package, hides no others.
        return error.what if isinstance(error, DamagedImageError) else str(error)
    hashed = hashlib.blake2b(str(grey.shape).encode(), digest_size=16)
    hashed.update(grey.tobytes())
    return hashed.digest()


def _shared(manifest: pd.DataFrame, roles: pd.Series[str]) -> Iterable[Problem]:
    number = roles.groupby(manifest["patient_id"]).nunique()
    if (number > 1).any():
        yield Problem("shared_patients", tuple(sorted(number.index[number > 1])), serious=True)


def _duplicates(pixels: Pixels | None, manifest: pd.DataFrame, roles: pd.Series[str]) -> Iterable[Problem]:
    """Serious where more than one role, or more than one patient, has the image."""
    apart: list[str] = []
    together: list[str] = []
    for group in pixels.duplicates if pixels else ():
        ids = list(group)
        alike = roles[ids].nunique() == 1 and manifest.loc[ids, "patient_id"].nunique() == 1
        (together if alike else apart).extend(ids)
    # Examples as they come, so that the images of a group stand side by side.
    if apart:
        yield Problem("duplicate_images", tuple(apart), serious=True)
    if together:
        yield Problem("repeated_images", tuple(together))


def _findings(used: Collection, roles: pd.Series[str]) -> Counts:
    positive = used.labels == 1
    if used.task.kind == "multilabel":
        positive[NO_FINDING] = (used.labels == 0).all(axis=1)
    return {
        str(finding): {role: int(positive[finding][roles == role].sum()) for role in ROLES}
        for finding in positive
    }


def _bands(ages: pd.Series[float]) -> pd.Series[str]:
    return pd.cut(ages, [*_BANDS.values(), np.inf], right=False, labels=list(_BANDS)).astype(object)


def _counts(values: pd.Series[str], known: tuple[str, ...], roles: pd.Series[str]) -> Counts:
    named = values.where(values.isin(known), UNKNOWN)
    return {
        name: {role: int(((named == name) & (roles == role)).sum()) for role in ROLES}
        for name in (*known, UNKNOWN)
    }
