"""What is in a data set: findings, which of them go together, in whom; counted before anything is trained.

As an audit, it counts labels of every role, fits nothing and needs no store. Images are shown of train alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from cxrbench.collection import Collection, Problem
from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.findings import NO_FINDING
from cxrbench.interfaces import Dataset
from cxrbench.roles import ROLES
from cxrbench.selection import Selected
from cxrbench.sources import read_source
from cxrbench.training.randomness import hash_ids, uniforms

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUANTILES = (5, 25, 50, 75, 95)
"""Per cent, of ages."""

SEXES = {"F": "female", "M": "male"}
VIEWS = {"PA": "pa", "AP": "ap"}

SIDE = 320
"""Pixels of the longer side of a sample at most, and of one that is drawn."""

_TRIES = 4
"""Files looked at for each sample that is wanted, so that a folder of damaged ones is not read whole."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """What is in a data set. Shares are 0..1; what is undefined is NaN.

    Attributes:
        dataset: name of the data set.
        drawn: whether its images are drawn, not of patients.
        label_version: which labels.
        multilabel: whether an image can have several findings.
        everyone: the same figures as a row of ``findings``, of all images; ``unknown`` are images with any
            unknown label.
        findings: one row a finding, in the task's order, and No Finding (all labels known and absent) last
            where the task is multi-label and has no such class. Columns: ``finding``; ``images`` with it;
            ``share`` of the images where it is known; ``alone`` and ``with_others``, images with it whose
            other labels are all absent, or of which another is present; ``patients``; ``unknown``, images
            where it is not known; ``female``, ``male``, ``sex_unknown`` and ``pa``, ``ap``, ``view_unknown``,
            images; ``age_known``, images, and ``age_p5`` … ``age_p95``, quantiles of ages in years, over
            images; ``boxes`` and ``boxed_images``; and, for each role, images with it
            (``train``) and their share of those where it is known (``train_share``).
        together: images with both findings, ``[finding, finding]``; with each on the diagonal.
        labels_per_image: images by the number of findings present, for each role and all; only images whose
            labels are all known.
        images_per_patient: patients by how many images they have.
        roles: images and patients of each role.
        problems: what the data set says is odd about its tables.
        notes: what the data set and the selection say of themselves.
    """

    dataset: str
    drawn: bool
    label_version: str
    multilabel: bool
    everyone: dict[str, Any]
    findings: pd.DataFrame
    together: pd.DataFrame
    labels_per_image: pd.DataFrame
    images_per_patient: pd.Series[int]
    roles: dict[str, dict[str, int]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def single_share(self) -> float:
        """Of images with any finding and all labels known, those with exactly one."""
        counts = self.labels_per_image["all"]
        return _share(int(counts.get(1, 0)), int(counts[counts.index > 0].sum()))

    @property
    def several_share(self) -> float:
        """Of all images whose labels are all known, those with several findings."""
        counts = self.labels_per_image["all"]
        return _share(int(counts[counts.index > 1].sum()), int(counts.sum()))

    def pairs(self) -> pd.DataFrame:
        """Findings that are seen together, a row a pair, the most frequent first.

        Columns: ``first`` and ``second``; ``images`` with both; their share of those with the first
            (``of_first``) and with the second (``of_second``); ``lift``, how many times as many as there
            would be if the two were independent, given how often each is seen.
        """
        names = list(self.together)
        counts = self.together.to_numpy()
        rows = []
        for place, first in enumerate(names):
            for other in range(place + 1, len(names)):
                both = int(counts[place, other])
                if both:
                    each = int(counts[place, place]), int(counts[other, other])
                    lift = both * self.everyone["images"] / (each[0] * each[1])
                    rows.append((first, names[other], both, both / each[0], both / each[1], lift))
        columns = ["first", "second", "images", "of_first", "of_second", "lift"]
        return pd.DataFrame(rows, columns=columns).sort_values("images", ascending=False, kind="stable")

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "dataset": self.dataset,
            "drawn": self.drawn,
            "label_version": self.label_version,
            "roles": self.roles,
            "everyone": self.everyone,
            "findings": self.findings.to_dict("records"),
            "together": {str(name): row.to_dict() for name, row in self.together.iterrows()},
            "labels_per_image": {
                role: {str(number): int(count) for number, count in counts.items()}
                for role, counts in self.labels_per_image.items()
            },
            "single_share": self.single_share,
            "several_share": self.several_share,
            "images_per_patient": {
                str(number): int(count) for number, count in self.images_per_patient.items()
            },
            "problems": [found.record() for found in self.problems],
            "notes": self.notes,
        }


def explore(selected: Selected) -> Exploration:
    """Count what is in the part of a data set that is selected; reads its tables alone.

    Raises:
        CxrbenchError: no image is left.
    """
    used, roles = selected.collection, selected.roles
    if used.manifest.empty:
        raise CxrbenchError(
            f"The data set '{used.name}' has no images left to explore; leave out less, or add some."
        )
    multilabel = used.task.kind == "multilabel"
    present, known = _labels(used, multilabel)
    # No Finding is no finding, also where it is a class.
    number = (used.labels == 1).drop(columns=NO_FINDING, errors="ignore").sum(axis=1)
    complete = used.labels.notna().all(axis=1)
    others = {name: number - (present[name] & (name != NO_FINDING)) for name in present}
    findings = pd.DataFrame(
        [
            {
                **_row(used, roles, str(name), present[name], known[name]),
                "alone": int((present[name] & complete & (others[name] == 0)).sum()),
                "with_others": int((present[name] & (others[name] > 0)).sum()),
            }
            for name in present
        ]
    )
    anything = pd.Series(True, index=used.manifest.index)
    everyone = _row(used, roles, "", anything, anything)
    everyone |= {
        "unknown": int((~complete).sum()),
        "boxes": len(used.boxes),
        "boxed_images": int(used.boxes["image_id"].nunique()),
    }
    matrix = present.to_numpy(np.int64)
    together = pd.DataFrame(matrix.T @ matrix, index=present.columns, columns=present.columns)
    counted = pd.crosstab(number[complete], roles[complete]).reindex(columns=list(ROLES), fill_value=0)
    counted.index.name = "findings"
    images = used.manifest["patient_id"].value_counts()
    return Exploration(
        dataset=used.name,
        drawn=used.drawn,
        label_version=used.label_version,
        multilabel=multilabel,
        everyone={name: everyone[name] for name in everyone if name != "finding"},
        findings=findings[list(_COLUMNS)],
        together=together,
        labels_per_image=counted.assign(all=counted.sum(axis=1)),
        images_per_patient=images.value_counts().sort_index(),
        roles={
            role: {
                "images": int((roles == role).sum()),
                "patients": int(used.manifest["patient_id"][roles == role].nunique()),
            }
            for role in ROLES
        },
        problems=used.problems,
        notes=used.notes,
    )


_COLUMNS = (
    *("finding", "images", "share", "alone", "with_others", "patients", "unknown"),
    *(*SEXES.values(), "sex_unknown", *VIEWS.values(), "view_unknown"),
    *("age_known", *(f"age_p{quantile}" for quantile in QUANTILES)),
    *("boxes", "boxed_images"),
    *ROLES,
    *(f"{role}_share" for role in ROLES),
)


def _labels(used: Collection, multilabel: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whether each finding is present, and whether that is known, ``[images, findings]``."""
    present, known = used.labels == 1, used.labels.notna()
    if multilabel and NO_FINDING not in present:
        absent = (used.labels == 0).all(axis=1)
        # Known to be something is known not to be nothing, whatever else is unknown.
        known[NO_FINDING] = known.all(axis=1) | present.any(axis=1)
        present[NO_FINDING] = absent
    return present, known


def _row(
    used: Collection, roles: pd.Series[str], name: str, present: pd.Series[bool], known: pd.Series[bool]
) -> dict[str, Any]:
    """A row of the table of findings, but for what depends on other findings."""
    having = used.manifest[present]
    ages = having["age"].dropna()
    boxes = used.boxes[used.boxes["finding"] == name]
    row: dict[str, Any] = {
        "finding": name,
        "images": len(having),
        "share": _share(len(having), int(known.sum())),
        "patients": int(having["patient_id"].nunique()),
        "unknown": int((~known).sum()),
        "age_known": len(ages),
        "boxes": len(boxes),
        "boxed_images": int(boxes["image_id"].nunique()),
    }
    for column, values in (("sex", SEXES), ("view", VIEWS)):
        counts = having[column].value_counts()
        row |= {word: int(counts.get(value, 0)) for value, word in values.items()}
        row[f"{column}_unknown"] = len(having) - sum(row[word] for word in values.values())
    points = np.percentile(ages, QUANTILES) if len(ages) else np.full(len(QUANTILES), np.nan)
    row |= {f"age_p{quantile}": float(at) for quantile, at in zip(QUANTILES, points, strict=True)}
    for role in ROLES:
        of_role = roles == role
        row[role] = int((present & of_role).sum())
        row[f"{role}_share"] = _share(row[role], int((known & of_role).sum()))
    return row


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


@dataclass(frozen=True)
class Sample:
    """An image of train, as an example of a finding.

    Attributes:
        finding: that it is an example of.
        image_id: as in the manifest.
        others: what else is present in it.
        age: in years, NaN unknown.
        sex: ``M``, ``F`` or None.
        view: ``PA``, ``AP`` or None.
        pixels: uint8 ``[h, w]``, at most :data:`SIDE` pixels a side.
    """

    finding: str
    image_id: str
    others: tuple[str, ...]
    age: float
    sex: str | None
    view: str | None
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Samples:
    """Images of train by finding, and what was wrong with those that were passed over, by image id."""

    images: tuple[Sample, ...]
    damaged: dict[str, str]


def samples_of(dataset: Dataset, root: Path | None, selected: Selected, each: int, seed: int) -> Samples:
    """Up to ``each`` images of train for every finding; which ones follows from ids and the seed alone.

    Args:
        dataset: reads and draws the pixels.
        root: folder of the data set's files.
        selected: what is used of it.
        each: images a finding; damaged ones are passed over.
        seed: of the choice.
    """
    used = selected.collection
    present, _ = _labels(used, used.task.kind == "multilabel")
    train = used.manifest.index[selected.roles == "train"]
    order = train[np.argsort(uniforms(hash_ids(train.tolist()), 1, "explore", seed)[:, 0], kind="stable")]
    present = present.loc[order]
    looks: dict[str, NDArray[np.uint8] | str] = {}
    images: list[Sample] = []
    for finding in present:
        found: list[Sample] = []
        for image_id in order[present[finding]][: each * _TRIES]:
            if len(found) == each:
                break
            if image_id not in looks:
                looks[image_id] = _look(dataset, root, image_id, str(used.manifest.at[image_id, "source"]))
            pixels = looks[image_id]
            if not isinstance(pixels, str):
                found.append(_sample(str(finding), image_id, present.loc[image_id], used.manifest, pixels))
        images += found
    return Samples(tuple(images), {name: look for name, look in looks.items() if isinstance(look, str)})


def _look(dataset: Dataset, root: Path | None, image_id: str, source: str) -> NDArray[np.uint8] | str:
    """An image, or what is wrong with its file."""
    try:
        grey = dataset.pixels(read_source(root, source) if root and source else None, image_id, SIDE)
    except CxrbenchError as error:
        return error.what if isinstance(error, DamagedImageError) else str(error)
    image = Image.fromarray(grey)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)


def _sample(
    finding: str, image_id: str, present: pd.Series[bool], manifest: pd.DataFrame, pixels: NDArray[np.uint8]
) -> Sample:
    row = manifest.loc[image_id].to_dict()
    others = tuple(str(name) for name in present.index[present] if name != finding)
    sex, view = (value if isinstance(value, str) else None for value in (row["sex"], row["view"]))
    return Sample(finding, image_id, others, float(row["age"]), sex, view, pixels)
