"""The images of a run: read, decoded and preprocessed once each, then rows of a memory-mapped file."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.canonical import digest
from cxrbench.data import Data
from cxrbench.errors import CxrbenchError
from cxrbench.interfaces import Preprocessing
from cxrbench.pixels.cache import CacheWriter, ImageCache
from cxrbench.pixels.identities import Identities
from cxrbench.pixels.preparing import Found, Preparer, Unreadable, Wanted, prepared
from cxrbench.reporter import Reporter
from cxrbench.roles import Role

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST_CROP = 0.9
"""Augmentation of whole images has this much around the network's input, whatever the crop."""

_COMMIT_SECONDS = 1.0
"""A killed process loses this much work at most; syncing as often costs little against it."""

_SHOWN = 3
"""Unreadable images that an error names."""


def stored_side(image_size: int, crop: float) -> int:
    """The side that images are stored at, so that a crop of that share has at least ``image_size`` pixels."""
    return math.ceil(image_size / min(crop, LARGEST_CROP))


class Images:
    """All images of a data set as networks of one size read them, preprocessed in one way."""

    def __init__(
        self,
        data: Data,
        identities: Identities,
        preprocessing: Preprocessing,
        cache: ImageCache,
        reporter: Reporter,
    ) -> None:
        """Nothing is read yet.

        Args:
            data: the data set.
            identities: those of its images.
            preprocessing: what is done to each whole image.
            cache: where images that are prepared so are kept.
            reporter: told of the work.
        """
        self._data = data
        self._identities = identities
        self._preprocessing = preprocessing
        self._reporter = reporter
        self.cache = cache
        self._rows: tuple[tuple[int, int, int] | None, dict[str, int]] | None = None

    @property
    def unread(self) -> int:
        """How many files must be read before their identity is known."""
        return len(self._data.manifest) - len(self._identities.known)

    @property
    def missing_bytes(self) -> int:
        """Disk that preparing takes at most."""
        return len(self._missing(self._cached())) * self.cache.row_bytes

    @property
    def identities(self) -> pd.Series[str]:
        """The identity of every image of the data set, by image id; images are prepared where need be."""
        if self.unread:
            self.prepare()
        known, ids = self._identities.known, self._data.manifest.index
        return pd.Series([known[image_id] for image_id in ids], index=ids, dtype="str")

    def seen(self, role: Role) -> str:
        """Hash of the pixels of a role's images, whatever the side; images are prepared where need be."""
        if self.unread:
            self.prepare()
        return digest([self.cache.made, self._identities.hash_of(role)])

    def open(self) -> NDArray[np.uint8]:
        """The pixels ``[rows, side, side]``, memory-mapped; images are prepared where need be."""
        self.prepare()
        return self.cache.open()

    def rows(self, image_ids: pd.Index[str]) -> NDArray[np.int64]:
        """Where images stand in what :meth:`open` gives."""
        known, rows = self._identities.known, self._cached()
        return np.array([rows[known[image_id]] for image_id in image_ids], dtype=np.int64)

    def prepare(self) -> None:
        """Read the files whose identity is not known, and store the images that have no row yet.

        Raises:
            CxrbenchError: the disk is too small, or images cannot be read; the others are kept.
        """
        if self._missing(self._cached()):
            with self.cache.writing() as writer:
                self._identities.look_again()
                self._fill(writer)

    def _cached(self) -> dict[str, int]:
        """The rows that are stored; read again where another process added some, or freed them all."""
        stamp = self.cache.stamp
        if self._rows is None or self._rows[0] != stamp:
            self._rows = stamp, self.cache.rows()
        return self._rows[1]

    def _missing(self, rows: Mapping[str, int]) -> list[Wanted]:
        """All images whose identity is not known or has no row."""
        known = self._identities.known
        images = (
            Wanted(image_id, source, known.get(image_id))
            for image_id, source in self._data.sources(self._data.manifest.index)
        )
        return [image for image in images if image.identity not in rows]

    def _preparer(self, rows: Iterable[str]) -> Preparer:
        return Preparer(
            self._data.dataset, self._data.root, self._preprocessing, self.cache.side, frozenset(rows)
        )

    def _fill(self, writer: CacheWriter) -> None:
        missing = self._missing(writer.rows)
        self._require_space(missing, writer.rows)
        unreadable: list[str] = []
        committed = time.monotonic()
        with self._reporter.progress("preparing images", len(missing)) as advance:
            try:
                for found in prepared(self._preparer(writer.rows), missing):
                    if isinstance(found, Unreadable):
                        unreadable.append(found.why)
                    else:
                        self._take_in(found, writer)
                    if time.monotonic() - committed >= _COMMIT_SECONDS:
                        self._commit(writer)
                        committed = time.monotonic()
                    advance(1, f"{len(unreadable)} unreadable" if unreadable else "")
            finally:
                self._commit(writer)
        if unreadable:
            shown = "; ".join(unreadable[:_SHOWN])
            count = f"{len(unreadable):,} images" if len(unreadable) > 1 else "One image"
            raise CxrbenchError(
                f"{count} cannot be read ({shown}{'; …' if len(unreadable) > _SHOWN else ''}); run 'cxrbench "
                "data audit' for all of them, or leave them out with --exclude FILE."
            )

    def _take_in(self, found: Found, writer: CacheWriter) -> None:
        if found.stamp is not None:
            self._identities.learn(found.image_id, found.source, found.stamp, found.identity)
        # Two files with one content may have been decoded at once.
        if found.pixels is not None and found.identity not in writer.rows:
            writer.add(found.identity, found.pixels)

    def _commit(self, writer: CacheWriter) -> None:
        writer.commit()
        self._identities.commit()

    def _require_space(self, missing: Sequence[Wanted], rows: Iterable[str]) -> None:
        """Say the disk that new rows take at most, and refuse where there is none for those sure to come."""
        row_bytes, free = self.cache.row_bytes, shutil.disk_usage(self.cache.folder).free
        # Files that were never read here may be copies of images whose rows nobody else claims.
        unknown = sum(image.identity is None for image in missing)
        unclaimed = len(set(rows) - set(self._identities.known.values()))
        certain = len(missing) - min(unknown, unclaimed)
        if certain * row_bytes > free:
            raise CxrbenchError(
                f"{certain:,} images at {self.cache.side} px need {certain * row_bytes / 1e9:.3g} GB in "
                f"{self.cache.folder}, where {free / 1e9:.3g} GB are free; give --results a larger disk."
            )
        self._reporter.say(
            f"preparing {len(missing):,} images at {self.cache.side} px, once: up to "
            f"{len(missing) * row_bytes / 1e6:,.0f} MB in {self.cache.folder}"
        )
