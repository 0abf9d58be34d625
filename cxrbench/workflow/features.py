"""The stored features of a run whose network is frozen but for its head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cxrbench.canonical import digest
from cxrbench.interfaces import Backbone
from cxrbench.network_steps import feature_step
from cxrbench.pixels.images import Images
from cxrbench.roles import Role
from cxrbench.specs import RunSpec
from cxrbench.stages import features
from cxrbench.steps import Hashes
from cxrbench.store import Step
from cxrbench.training.batches import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from cxrbench.workflow.runs import Workflow

_OF_HEADS = {"head", "loss", "sampler", "training"}
"""Settings that decide the network, and its features not at all but for a head's pooling."""


class StoredFeatures:
    """What a frozen network makes of a run's images: once for each role, whichever heads and runs read it."""

    def __init__(
        self,
        workflow: Workflow,
        spec: RunSpec,
        backbone: Backbone,
        kind: features.FeatureKind,
        *,
        hashes: Callable[[Role], Hashes],
        images: Callable[[Role], Images],
        rows: Callable[[Role], Rows],
    ) -> None:
        """Nothing is done yet.

        Args:
            workflow: where artifacts go, and where to compute.
            spec: the run, resolved.
            backbone: says what the network sees.
            kind: what is stored of an image.
            hashes: of the data set that a role is of.
            images: of that data set.
            rows: all images of a role with their pixels.
        """
        self._workflow, self._spec, self._backbone, self._kind = workflow, spec, backbone, kind
        self._hashes, self._images, self._rows = hashes, images, rows

    def _step(self, role: Role, mirrored: bool) -> Step:
        return feature_step(
            self._spec,
            self._hashes(role),
            self._workflow.registry,
            self._backbone,
            self._images(role),
            role,
            self._kind.pooling,
            mirrored=mirrored,
        )

    def _uses(self, roles: tuple[Role, ...]) -> list[tuple[Role, bool]]:
        """What may be stored for these roles: which role, and whether of mirrored images."""
        uses: list[tuple[Role, bool]] = [(role, False) for role in dict.fromkeys(roles)]
        # What a sampler does follows from labels, which are not read to know this.
        if self._spec.sampler.name != "none" and "train" in roles:
            uses.append(("train", True))
        return uses

    def ids(self, *roles: Role) -> list[str]:
        """What may be stored for these roles."""
        return [self._step(*use).id for use in self._uses(roles)]

    def missing_bytes(self, *roles: Role, known: bool) -> dict[str, int]:
        """Disk that these roles would take at most, by id, or what stands for it where none is ``known``."""
        store = self._workflow.store
        fields = set(RunSpec.model_fields) - _OF_HEADS
        like = digest([self._spec.model_dump(mode="json", include=fields), self._kind.pooling])
        found: dict[str, int] = {}
        for role, mirrored in self._uses(roles):
            step = self._step(role, mirrored) if known else None
            if step is None or not store.has(step):
                size = len(self._hashes(role).data.image_ids(role)) * self._kind.bytes_an_image
                found[step.id if step else f"{like} {role} {mirrored}"] = size
        return found

    def of(
        self, role: Role, network: Callable[[], nn.Module], *, mirrored: bool = False
    ) -> NDArray[np.float32]:
        """Features of a role's images, in order, mapped; ``network`` is asked for where they are new."""

        def make(folder: Path) -> None:
            rows = self._rows(role)
            if mirrored:
                rows = replace(rows, mirrored=np.ones(len(rows), np.bool_))
            workflow = self._workflow
            features.run(
                folder, self._spec, self._backbone, network(), rows, workflow.device, workflow.reporter
            )

        return features.read(self._workflow.store.ensure(self._step(role, mirrored), make).folder)

    def attached(self, rows: Rows, role: Role, network: Callable[[], nn.Module]) -> Rows:
        """All rows of a role, with features in place of pixels."""
        stored = self.of(role, network)
        return replace(rows, positions=np.arange(len(rows)), features=stored)

    def with_mirrored(self, rows: Rows, network: Callable[[], nn.Module]) -> Rows:
        """Rows of train as a sampler wants them, with features of mirrored images where it wants some."""
        if rows.mirrored is None or not rows.mirrored.any():
            return rows
        return replace(rows, mirrored_features=self.of("train", network, mirrored=True))
