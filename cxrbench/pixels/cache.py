"""The image cache: every image once, as rows of one uint8 file that only grows.

::

    results/cache/images-KEY/
      about.json     what the rows are: side, preprocessing, data set
      pixels.u8      rows of side × side bytes
      index.journal  [row, identity of the image, CRC-32 of the row], appended once the row is on disk

A row is believed only where the index names it, and the index names it only after the pixels were synced:
whenever a process is killed, the next one goes on behind the last row that the index names.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from cxrbench.canonical import digest
from cxrbench.errors import CxrbenchError
from cxrbench.files import read_json, write_json
from cxrbench.pixels.journal import Journal
from cxrbench.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA_VERSION = 1
"""Of a cache's files and of how images are resized; another one gets another folder."""

_Entries = dict[int, tuple[str, int]]
"""(identity, CRC-32) by row."""


class ImageCache:
    """The rows of all images that were prepared in one way, of whatever data sets and runs they are.

    Attributes:
        id: how the store names it, ``cache/NAME``.
        folder: where it lies.
        side: of an image in pixels.
        made: hash of how an identity becomes pixels, whatever the side: who decodes, what is done to the
            image, and how it is resized. What is computed from pixels follows from both.
    """

    def __init__(self, store: Store, name: str, about: Mapping[str, Any]) -> None:
        self._store = store
        self._about = about
        self.made = digest({key: value for key, value in about.items() if key != "side"})
        self.id = f"cache/{name}"
        self.folder = store.root / "cache" / name
        self.side: int = about["side"]
        self._pixels = self.folder / "pixels.u8"
        self._index = Journal(self.folder / "index.journal")

    @classmethod
    def of(cls, store: Store, prepared: Mapping[str, Any], side: int) -> ImageCache:
        """The cache of images that are ``prepared`` so (JSON values) and stored at ``side`` pixels."""
        about = {"schema_version": SCHEMA_VERSION, "side": side, "prepared": dict(prepared)}
        return cls(store, f"images-{digest(about)}", about)

    @classmethod
    def all(cls, store: Store) -> list[ImageCache]:
        """Every cache of a store.

        Raises:
            CxrbenchError: what a cache is cannot be read.
        """
        caches = []
        for path in sorted(store.root.glob("cache/*/about.json")):
            try:
                caches.append(cls(store, path.parent.name, read_json(path)))
            except (ValueError, KeyError, TypeError) as error:
                raise CxrbenchError(f"{path} is damaged; remove the folder {path.parent}.") from error
        return caches

    @property
    def row_bytes(self) -> int:
        """Disk that an image takes."""
        return self.side**2

    @property
    def stamp(self) -> tuple[int, int, int] | None:
        """While it stays, so does what :meth:`rows` gives; None where nothing is stored."""
        return self._index.stamp

    def rows(self) -> dict[str, int]:
        """The row of each identity that has one."""
        return {identity: row for row, (identity, _) in self._entries()[0].items()}

    def open(self) -> NDArray[np.uint8]:
        """All rows ``[n, side, side]``, memory-mapped and read-only."""
        # Another process may be adding a row right now, half of which the file has.
        count = self._pixels.stat().st_size // self.row_bytes
        return np.memmap(self._pixels, np.uint8, mode="r", shape=(count, self.side, self.side))

    @contextmanager
    def writing(self) -> Iterator[CacheWriter]:
        """Add rows, alone: another process that adds some is waited for first."""
        with self._store.locked(self.id):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "about.json", self._about)
            sound, lost = self._entries()
            # Rows of a file that was cut must not be believed when it grows again.
            self._index.append([row, "", 0] for row in lost)
            with self._pixels.open("r+b" if self._pixels.exists() else "w+b") as file:
                yield CacheWriter(file, self._index, self.row_bytes, sound)

    def problems(self) -> list[str]:
        """What is wrong with the rows: pixels that are not what was written, or not there."""
        sound, lost = self._entries()
        found = [f"{self.id}: the pixels of row {row} are missing" for row in lost]
        if sound:
            with self._pixels.open("rb") as file:
                for row, (identity, checksum) in sorted(sound.items()):
                    file.seek(row * self.row_bytes)
                    if zlib.crc32(file.read(self.row_bytes)) != checksum:
                        found.append(
                            f"{self.id}: row {row} (image {identity[:12]}) has changed since it was written"
                        )
        return found

    def free(self) -> bool:
        """Delete the cache, unless a run at work needs it; images are prepared again when a run needs them.

        Returns:
            Whether it was deleted.
        """
        with self._store.locked(self.id):
            # Here, since a run may have begun while the lock was waited for.
            if self.id in self._store.needed_now():
                return False
            # In this order no row is believed without its pixels, and gc still sees a folder that takes disk.
            for name in ("index.journal", "pixels.u8", "about.json"):
                (self.folder / name).unlink(missing_ok=True)
            shutil.rmtree(self.folder)
            return True

    def _entries(self) -> tuple[_Entries, list[int]]:
        """What the index says of rows that the file of pixels holds, and the rows that it does not hold."""
        # Its last word on a row counts; an empty identity takes back what was said before.
        said = {row: (identity, checksum) for row, identity, checksum in self._index.read()}
        held = self._pixels.stat().st_size // self.row_bytes if self._pixels.exists() else 0
        said = {row: entry for row, entry in said.items() if entry[0]}
        return {r: entry for r, entry in said.items() if r < held}, sorted(r for r in said if r >= held)


class CacheWriter:
    """Adds rows to a cache; made by :meth:`ImageCache.writing`.

    Attributes:
        rows: the row of each identity, those that were just added among them.
    """

    def __init__(self, file: BinaryIO, index: Journal, row_bytes: int, entries: _Entries) -> None:
        self._file, self._index, self._row_bytes = file, index, row_bytes
        self.rows = {identity: row for row, (identity, _) in entries.items()}
        self._next = max(entries, default=-1) + 1
        self._pending: list[tuple[int, str, int]] = []
        file.seek(self._next * row_bytes)

    def add(self, identity: str, image: NDArray[np.uint8]) -> None:
        """Add the image ``[side, side]`` of an identity that has no row yet; kept by :meth:`commit`."""
        content = image.tobytes()
        if len(content) != self._row_bytes:
            raise ValueError(f"an image of shape {image.shape} is no row of {self._row_bytes} bytes")
        self._file.write(content)
        self._pending.append((self._next, identity, zlib.crc32(content)))
        self.rows[identity] = self._next
        self._next += 1

    def commit(self) -> None:
        """Put what was added on disk: the pixels first, then the index that says they are there."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._index.append(self._pending)
        self._pending.clear()
