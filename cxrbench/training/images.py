"""Pixels of a run: each image's identity, and one uint8 file that batches are read from."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image

from cxrbench.canonical import digest
from cxrbench.data import Data
from cxrbench.reporter import Reporter
from cxrbench.store import Step, Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

CROP_SHARE = 0.9
"""Networks see the central 90% (evaluation) or a random 90% (training) of an image, as literature does."""

_WORKERS = 4
"""Threads that read and decode; Pillow, zlib and hashing let each other run."""


def stored_side(image_size: int) -> int:
    """The side that images are stored at, so that a 90% crop has ``image_size`` pixels."""
    return math.ceil(image_size / CROP_SHARE)


class PixelIdentities:
    """What identifies each image's pixels: the hash of its file, or who draws it.

    Hashes are kept in the store and trusted as long as a file's size and modification time stay, so
    that a second run does not read everything again.
    """

    def __init__(self, data: Data, store: Store, reporter: Reporter) -> None:
        self._data = data
        self._reporter = reporter
        root = "" if data.root is None else str(data.root.resolve())
        self._path = store.root / "pixel_hashes" / f"{digest(root)}.parquet"

    def unknown(self) -> int:
        """How many files would have to be read for their hash."""
        return len(self._split[1])

    def of_all(self) -> pd.Series[str]:
        """The identity of every image of the data set, by image id; files are read where needed."""
        known, stale = self._split
        if stale:
            known = known | self._hash(stale)
        sources = self._data.sources(self._data.manifest.index)
        identities = [known[source] if source else self._data.drawn_identity(id_) for id_, source in sources]
        return pd.Series(identities, index=self._data.manifest.index, dtype="str")

    @cached_property
    def _split(self) -> tuple[dict[str, str], list[str]]:
        """Hashes by source that still hold, and the sources whose files have none; looked at once."""
        sources = [source for _, source in self._data.sources(self._data.manifest.index) if source]
        stored: dict[str, tuple[int, int, str]] = {}
        if sources and self._path.exists():
            table = pd.read_parquet(self._path)
            stored = {row.source: (row.bytes, row.mtime_ns, row.sha256) for row in table.itertuples()}  # type: ignore[misc]
        known, stale = {}, []
        for source in sources:
            entry = stored.get(source)
            if entry is not None and entry[:2] == self._data.stamp(source):
                known[source] = entry[2]
            else:
                stale.append(source)
        return known, stale

    def _sha256(self, source: str) -> str:
        return hashlib.sha256(self._data.content(source) or b"").hexdigest()

    def _hash(self, stale: Sequence[str]) -> dict[str, str]:
        rows = []
        with (
            self._reporter.progress("hashing images", len(stale)) as advance,
            ThreadPoolExecutor(_WORKERS) as pool,
        ):
            for source, hashed in zip(stale, pool.map(self._sha256, stale), strict=True):
                rows.append((source, *self._data.stamp(source), hashed))
                advance(1, "")
        table = pd.DataFrame(rows, columns=["source", "bytes", "mtime_ns", "sha256"])
        if self._path.exists():
            old = pd.read_parquet(self._path)
            table = pd.concat([old[~old["source"].isin(table["source"])], table])
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        table.to_parquet(temporary, index=False)
        temporary.replace(self._path)
        return dict(zip(table["source"], table["sha256"], strict=True))


class Images:
    """All images of a data set at one side, as a memory-mapped file in the store."""

    def __init__(self, data: Data, identities: pd.Series[str], image_size: int) -> None:
        self._data = data
        self.side = stored_side(image_size)
        self.identities = identities
        self._ids = identities.index
        self.step = Step("images", {"schema": 1, "pixels": digest(identities.to_dict()), "side": self.side})

    def open(self, store: Store, reporter: Reporter) -> NDArray[np.uint8]:
        """The pixels ``[n, side, side]`` in the order of the manifest, decoded first where need be."""
        artifact = store.ensure(self.step, lambda folder: self._build(folder, reporter))
        pixels: NDArray[np.uint8] = np.load(artifact.folder / "images.npy", mmap_mode="r", allow_pickle=False)
        return pixels

    def rows(self, image_ids: pd.Index[str]) -> NDArray[np.int64]:
        """Where the images stand in the file."""
        return self._ids.get_indexer(image_ids).astype(np.int64)

    def _build(self, folder: Path, reporter: Reporter) -> None:
        shape = (len(self._ids), self.side, self.side)
        pixels = np.lib.format.open_memmap(folder / "images.npy", mode="w+", dtype=np.uint8, shape=shape)
        sources = self._data.sources(self._ids)
        with (
            reporter.progress("preparing images", len(sources)) as advance,
            ThreadPoolExecutor(_WORKERS) as pool,
        ):
            for row, image in enumerate(pool.map(self._square, sources)):
                pixels[row] = image
                advance(1, "")
        pixels.flush()

    def _square(self, source: tuple[str, str]) -> NDArray[np.uint8]:
        image_id, path = source
        image = self._data.decode(image_id, self._data.content(path), self.side)
        if image.shape == (self.side, self.side):
            return image
        # Pillow's bilinear filter widens with the reduction, so that nothing aliases.
        resized = Image.fromarray(image).resize((self.side, self.side), Image.Resampling.BILINEAR)
        return np.asarray(resized, dtype=np.uint8)
