"""What stands for the pixels of each image: the hash of its file, or who draws it."""

from __future__ import annotations

from functools import cached_property

from cxrbench.canonical import digest
from cxrbench.data import Data
from cxrbench.pixels.journal import Journal
from cxrbench.roles import Role
from cxrbench.store import Store

Stamp = tuple[int, int]
"""Bytes and modification time (ns) of a file: while they stay, its content is taken to stay."""


class Identities:
    """The identity of each image of a data set, as far as it is known without reading files.

    The SHA-256 of files is kept in the store as soon as a file was read, and trusted while the file's stamp
    stays, so that a second run does not read everything again.
    """

    def __init__(self, data: Data, store: Store) -> None:
        self._data = data
        root = "" if data.root is None else str(data.root.resolve())
        self._journal = Journal(store.root / "pixel_hashes" / f"{digest(root)}.journal")
        self._pending: list[tuple[str, int, int, str]] = []
        self._hashes: dict[Role, str] = {}

    @cached_property
    def known(self) -> dict[str, str]:
        """Identity by image id, of all images whose file was read since it changed; looked at once."""
        sources = self._data.sources(self._data.manifest.index)
        kept: dict[str, tuple[Stamp, str]] = {}
        if any(source for _, source in sources):
            kept = {source: ((size, time), hash_) for source, size, time, hash_ in self._journal.read()}
        known = {}
        for image_id, source in sources:
            if not source:
                known[image_id] = self._data.drawn_identity(image_id)
            elif source in kept and kept[source][0] == self._data.stamp(source):
                known[image_id] = kept[source][1]
        return known

    def hash_of(self, role: Role) -> str:
        """Hash of the identities of a role's images, all known; worked out once while they stay."""
        if role not in self._hashes:
            self._hashes[role] = digest({id_: self.known[id_] for id_ in self._data.image_ids(role)})
        return self._hashes[role]

    def look_again(self) -> None:
        """Forget :attr:`known`: another process has read files meanwhile."""
        vars(self).pop("known", None)
        self._hashes.clear()

    def learn(self, image_id: str, source: str, stamp: Stamp, sha256: str) -> None:
        """Take in what a file was found to hold; kept by :meth:`commit`."""
        self.known[image_id] = sha256
        self._hashes.clear()
        self._pending.append((source, *stamp, sha256))

    def commit(self) -> None:
        """Put what was learnt on disk."""
        self._journal.append(self._pending)
        self._pending.clear()
