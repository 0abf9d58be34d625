"""Members of zip files as sources: any number of threads may read them at once.

``ZipFile``'s own reading shares one file between threads and keeps a large object for each member; here each
read has a handle of its own, so that threads do not wait for each other.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cxrbench.errors import CxrbenchError, DamagedImageError

_LOCAL_HEADER = 30
"""Bytes of a member's header before its name (APPNOTE.TXT 4.3.7); the lengths of what follows end it."""
_ENCRYPTED = 0x1

_opening = threading.Lock()


class _Member(NamedTuple):
    """Where a member's bytes lie in its zip file, and how."""

    offset: int
    packed: int
    size: int
    method: int
    flags: int
    crc: int


class _Directory(NamedTuple):
    """What a zip file holds: its members by name, and the names right in each of its folders."""

    members: dict[str, _Member]
    folders: dict[str, list[str]]


def read_member(path: Path, name: str) -> bytes:
    """The bytes of a member.

    Raises:
        FileNotFoundError: there is no such member.
        CxrbenchError: the zip file is damaged, or the member encrypted or packed in a rare way.
        DamagedImageError: the member is damaged.
    """
    member = _readable(path, name)
    packed = _packed(path, member, member.packed)
    try:
        # No more than the directory promises: a member that holds more is damaged or hostile.
        content = packed if member.method == zipfile.ZIP_STORED else _inflated(packed, member.size)
    except zlib.error as error:
        raise _damaged(path, name) from error
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise _damaged(path, name)
    return content


def member_start(path: Path, name: str, count: int) -> bytes:
    """The first ``count`` bytes of a member, or fewer where it is shorter or damaged.

    Raises:
        FileNotFoundError, CxrbenchError: as :func:`read_member`.
    """
    member = _readable(path, name)
    # Deflate may need more than it gives, but not twice and some blocks more for a file's beginning.
    packed = _packed(path, member, min(member.packed, 2 * count + 1024))
    if member.method == zipfile.ZIP_STORED:
        return packed[:count]
    try:
        return _inflated(packed, count)[:count]
    except zlib.error:
        return b""


def member_bytes(path: Path, name: str) -> int:
    """How many bytes a member has, unpacked.

    Raises:
        FileNotFoundError: there is no such member.
        CxrbenchError: the zip file is damaged.
    """
    return _member(path, name).size


def names_of_folder(path: Path, folder: str) -> list[str]:
    """Names of the files right in a folder of a zip file, the outermost being empty; of no folder none.

    Raises:
        FileNotFoundError: there is no such zip file.
        CxrbenchError: the zip file is damaged.
    """
    return _directory(path).folders.get(folder, [])


def _directory(path: Path) -> _Directory:
    facts = path.stat()
    # Under a lock, so that threads that start together read a directory once.
    with _opening:
        return _read_directory(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=64)
def _read_directory(path: Path, size: int, mtime_ns: int) -> _Directory:
    """What a zip file holds; read again where its size or time changed."""
    members: dict[str, _Member] = {}
    folders: dict[str, list[str]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    members[info.filename] = _Member(
                        info.header_offset,
                        info.compress_size,
                        info.file_size,
                        info.compress_type,
                        info.flag_bits,
                        info.CRC,
                    )
                    folder, _, name = info.filename.rpartition("/")
                    folders.setdefault(folder, []).append(name)
        return _Directory(members, folders)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CxrbenchError(f"The zip file {path} is damaged ({error}); download it again.") from error


def _member(path: Path, name: str) -> _Member:
    member = _directory(path).members.get(name)
    if member is None:
        raise FileNotFoundError(name)
    return member


def _readable(path: Path, name: str) -> _Member:
    member = _member(path, name)
    if member.flags & _ENCRYPTED or member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise CxrbenchError(f"{name} in {path} is encrypted or packed in a rare way; unpack the zip file.")
    return member


def _packed(path: Path, member: _Member, count: int) -> bytes:
    """The first ``count`` of a member's bytes as they lie in its zip file."""
    with path.open("rb") as file:
        file.seek(member.offset)
        header = file.read(_LOCAL_HEADER)
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(member.offset + _LOCAL_HEADER + lengths)
        return file.read(count)


def _inflated(packed: bytes, size: int) -> bytes:
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, size + 1)


def _damaged(path: Path, name: str) -> DamagedImageError:
    return DamagedImageError(f"{name} in {path}", "is damaged in its zip file")
