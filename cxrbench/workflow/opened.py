"""A data set with what all runs on it share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from cxrbench.canonical import digest
from cxrbench.data import Data, Passport
from cxrbench.options import Use, make
from cxrbench.pixels.cache import ImageCache
from cxrbench.pixels.identities import Identities
from cxrbench.pixels.images import Images
from cxrbench.registry import Registry
from cxrbench.reporter import Reporter
from cxrbench.roles import Role
from cxrbench.specs import keyed
from cxrbench.stages.publish import EXAMPLE_SIDE
from cxrbench.steps import Hashes
from cxrbench.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenedData:
    """A data set with what all runs on it share: hashes, identities of pixels and stored images."""

    def __init__(
        self, store: Store, registry: Registry, reporter: Reporter, data: Data, identity: Mapping[str, Any]
    ) -> None:
        """``identity`` is what the data set contributes to keys (name, version, options)."""
        self._store, self._registry, self._reporter = store, registry, reporter
        self._examples: dict[str, NDArray[np.uint8]] = {}
        self.data = data
        self.hashes = Hashes(data)
        self._passports: dict[Role, Passport] = {}
        self.seen_before: dict[tuple[int, bool], dict[str, int | None]] = {}
        # A file's content stands for its pixels, however the options chose it among others.
        self._decoded_by = {part: identity[part] for part in ("name", "version")}
        self._identities = Identities(data, store)
        self._images: dict[str, Images] = {}

    def images(self, preprocessing: Use, side: int) -> Images:
        """The images, preprocessed so, stored at ``side`` pixels; nothing is read yet."""
        prepared = {
            "dataset": self._decoded_by,
            "preprocessing": keyed(preprocessing, "preprocessing", self._registry),
        }
        key = digest([prepared, side])
        if key not in self._images:
            self._images[key] = Images(
                self.data,
                self._identities,
                make(preprocessing, "preprocessing", self._registry),
                ImageCache.of(self._store, prepared, side),
                self._reporter,
            )
        return self._images[key]

    def passport(self, tune: Role) -> Passport:
        """The passport of a run that fits thresholds on ``tune``."""
        if tune not in self._passports:
            self._passports[tune] = self.data.passport(tune)
        return self._passports[tune]

    def example(self, image_id: str) -> NDArray[np.uint8]:
        """An image ``[h, w]`` for people to look at, decoded once a process."""
        if image_id not in self._examples:
            ((_, source),) = self.data.sources(pd.Index([image_id]))
            content = self.data.content(source)
            self._examples[image_id] = self.data.decode(image_id, content, EXAMPLE_SIDE)
        return self._examples[image_id]
