"""What a run uses of a data set: which images, with which labels, in which roles.

Images and roles follow from the data set as it is published, and labels that are laid over it change
labels alone: a corrected test label trains nothing again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.collection import Collection
from cxrbench.errors import UsageError
from cxrbench.interfaces import Sampler
from cxrbench.label_overlay import LabelOverlay
from cxrbench.options import Use, instantiate
from cxrbench.registry import Registry
from cxrbench.roles import Role, Split, assign_roles
from cxrbench.samplers.none import NoSampler
from cxrbench.specs import RunSpec, keyed
from cxrbench.training.randomness import hash_ids, sampler_draws


@dataclass(frozen=True)
class Selection:
    """Which images of a data set are used, with which labels and in which roles.

    Attributes:
        split: how roles are given, see :func:`cxrbench.roles.assign_roles`.
        exclude: ids of images that are left out.
        overlay: labels that take the place of the data set's.
        sampler: leaves out images too, before roles are given.
        sampler_name: the sampler with its options, for people.
        needs: the roles that must have images.
    """

    split: Split = "official"
    exclude: frozenset[str] = frozenset()
    overlay: LabelOverlay | None = None
    sampler: Sampler = field(default_factory=NoSampler)
    sampler_name: str = "none"
    needs: tuple[Role, ...] = ("train", "val", "test")

    def of(self, collection: Collection) -> Selected:
        """What is left of a data set.

        Raises:
            UsageError: the labels or the sampler do not fit the data set.
        """
        own, notes = collection.labels, [*collection.notes]
        excluded = own.index.isin(list(self.exclude))
        if self.exclude:
            strangers = len(self.exclude) - int(excluded.sum())
            absent = f"; {strangers:,} more ids name none at hand" if strangers else ""
            notes.append(f"Images excluded by name: {excluded.sum():,}{absent}.")
        own = own[~excluded]
        # By the data set's own labels, so that corrected ones do not change which images stand where.
        draws = sampler_draws(hash_ids(own.index), "subset")
        kept = self.sampler.subset(own.to_numpy(np.float64), collection.task.classes, draws)
        if not kept.all():
            notes.append(f"The sampler {self.sampler_name} uses {kept.sum():,} of {len(kept):,} images.")
        own = own[kept].sort_index()
        manifest = collection.manifest.loc[own.index]
        labels, version = own, collection.label_version
        if self.overlay is not None:
            labels, note = self.overlay.apply(own, collection.task)
            version = f"{version} + {self.overlay.version}"
            notes.append(note)
        left = replace(
            collection,
            manifest=manifest,
            labels=labels,
            boxes=collection.boxes[collection.boxes["image_id"].isin(own.index)],
            label_version=version,
            notes=tuple(notes),
        )
        roles = assign_roles(manifest, own, self.split)
        return Selected(left, roles, int(excluded.sum()), int((~kept).sum()))


@dataclass(frozen=True)
class Selected:
    """A data set after a selection.

    Attributes:
        collection: what is left, sorted by image id.
        roles: the role of each image.
        excluded: how many images were left out by name.
        sampled_out: how many images the sampler left out.
    """

    collection: Collection
    roles: pd.Series[str]
    excluded: int
    sampled_out: int


def selection_of(spec: RunSpec, registry: Registry) -> Selection:
    """The selection that a run asks for, its files read.

    Raises:
        UsageError: a file is missing or not what it should be.
    """
    sampler = keyed(spec.sampler, "sampler", registry)
    return Selection(
        split=spec.split,
        exclude=read_exclusions(Path(spec.exclude)) if spec.exclude else frozenset(),
        overlay=LabelOverlay.read(Path(spec.labels)) if spec.labels else None,
        sampler=instantiate(registry.find("sampler", spec.sampler.name), spec.sampler.options),
        sampler_name=str(Use(name=sampler["name"], options=sampler["options"])),
    )


def read_exclusions(path: Path) -> frozenset[str]:
    """Image ids of a text file, one a line; empty lines and those that start with ``#`` do not count.

    Raises:
        UsageError: the file is missing or no text.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}; --exclude takes a text file of image ids, one a line.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as text; --exclude takes image ids, one a line.") from error
    return frozenset(line for line in lines if line and not line.startswith("#"))
