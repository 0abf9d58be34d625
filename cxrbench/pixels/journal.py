"""A file of records that grows at its end and can be torn anywhere without being believed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Records (JSON values), one a line, each behind the CRC-32 of its text.

    A line that does not fit its checksum, such as one that a killed process or a power cut left half
    written, is as if it were not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def stamp(self) -> tuple[int, int, int] | None:
        """Inode, bytes and modification time (ns): while they stay, so do the records; None: no file."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return None
        return facts.st_ino, facts.st_size, facts.st_mtime_ns

    def read(self) -> Iterator[Any]:
        """Every sound record, in the order in which they were appended."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            for line in file:
                checksum, _, text = line.rstrip(b"\n").partition(b" ")
                if checksum == _checksum(text):
                    yield json.loads(text)

    def append(self, records: Iterable[Any]) -> None:
        """Add records; they are on disk when this returns."""
        texts = [json.dumps(record).encode() for record in records]
        if not texts:
            return
        lines = b"".join(b"%b %b\n" % (_checksum(text), text) for text in texts)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            # The line end first closes a line that a killed process left torn.
            file.write(b"\n" + lines)
            file.flush()
            os.fsync(file.fileno())


def _checksum(text: bytes) -> bytes:
    return b"%08x" % zlib.crc32(text)
