"""Bytes of images, read from below a data root: files as they are, members of zip files, rows of arrays.

A source is a relative path with ``/``, such as ``images/x.png`` or, through a zip file,
``data/images/images_001.zip/images/x.png``, or through a NumPy archive, whose arrays hold an image a row,
``chestmnist.npz/train_images/17``. It never leads out of the root by its text; symbolic links
are followed, since large data sets often lie on another disk.
"""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.npz_rows import ARCHIVE, read_row, row_bytes

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


def read_source(root: Path, source: str) -> bytes:
    """The bytes at a source; any number of threads may read at once.

    Raises:
        CxrbenchError: the source leads out of ``root``, is missing, or cannot be read.
        DamagedImageError: its bytes in an archive are damaged.
    """
    path, member = _locate(root, source)
    try:
        if member and path.suffix.lower() == ARCHIVE:
            return read_row(path, member)
        if member:
            return _read_member(path, member)
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(root, source, error) from error


def read_start(root: Path, source: str, count: int) -> bytes:
    """The first ``count`` bytes at a source, or fewer where it is shorter or damaged; cheap for large files.

    Raises:
        CxrbenchError: as :func:`read_source`.
    """
    path, name = _locate(root, source)
    try:
        if not name:
            with path.open("rb") as file:
                return file.read(count)
        if path.suffix.lower() == ARCHIVE:
            return read_row(path, name)[:count]
        member = _readable_member(path, name)
        # Deflate may need more than it gives, but not twice and some blocks more for a file's beginning.
        packed = _packed(path, member, min(member.packed, 2 * count + 1024))
        if member.method == zipfile.ZIP_STORED:
            return packed[:count]
        return _inflated(packed, count)[:count]
    except zlib.error:
        return b""
    except OSError as error:
        raise _unreadable(root, source, error) from error


def source_stamp(root: Path, source: str) -> tuple[int, int]:
    """Size in bytes and modification time in ns; while they stay, the bytes are taken to be the same.

    For what lies in an archive the time is the archive's.

    Raises:
        CxrbenchError: as :func:`read_source`.
    """
    path, member = _locate(root, source)
    try:
        facts = path.stat()
        size = facts.st_size
        if member:
            is_row = path.suffix.lower() == ARCHIVE
            size = row_bytes(path, member) if is_row else _member(path, member).size
    except OSError as error:
        raise _unreadable(root, source, error) from error
    return size, facts.st_mtime_ns


def names_in(root: Path, folder: str) -> list[str]:
    """Names of the files right in a folder below ``root``, which may be a zip file or lie in one.

    In no particular order; none where there is no such folder.

    Raises:
        CxrbenchError: the folder leads out of ``root``, cannot be read, or lies in a damaged zip file.
    """
    path, inside = _locate(root, f"{folder}/*")
    try:
        if inside:
            return _directory(path).folders.get(inside.rpartition("/")[0], [])
        with os.scandir(path.parent) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _unreadable(root, folder, error) from error


def _locate(root: Path, source: str) -> tuple[Path, str]:
    """The file, and what is meant in it where it is an archive that the source goes through."""
    parts = PurePosixPath(source).parts
    if not parts or ".." in parts or Path(source).is_absolute():
        raise CxrbenchError(f"The source '{source}' leads out of {root}; give a path below it.")
    for position, part in enumerate(parts[:-1], start=1):
        if part.lower().endswith((".zip", ARCHIVE)):
            archive = root.joinpath(*parts[:position])
            if archive.is_file():
                return archive, "/".join(parts[position:])
    return root.joinpath(*parts), ""


def _unreadable(root: Path, source: str, error: OSError) -> CxrbenchError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return CxrbenchError(f"The file {source} is missing in {root}; put it back or download it again.")
    why = error.strerror or error
    return CxrbenchError(f"The file {source} in {root} cannot be read ({why}); mend that.")


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


def _read_member(path: Path, name: str) -> bytes:
    # ZipFile's own reading shares one file between threads and keeps a large object for each member;
    # this has a handle of its own for each read, so that threads do not wait for each other.
    member = _readable_member(path, name)
    packed = _packed(path, member, member.packed)
    try:
        # No more than the directory promises: a member that holds more is damaged or hostile.
        content = packed if member.method == zipfile.ZIP_STORED else _inflated(packed, member.size)
    except zlib.error as error:
        raise _damaged(path, name) from error
    if len(content) != member.size or zlib.crc32(content) != member.crc:
        raise _damaged(path, name)
    return content


def _readable_member(path: Path, name: str) -> _Member:
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
