"""Bytes of images, read from below a data root: files as they are, members of zip files, rows of arrays.

A source is a relative path with ``/``, such as ``images/x.png`` or, through a zip file,
``data/images/images_001.zip/images/x.png``, or through a NumPy archive, whose arrays hold an image a row,
``chestmnist.npz/train_images/17``. It never leads out of the root by its text; symbolic links
are followed, since large data sets often lie on another disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cxrbench.errors import CxrbenchError
from cxrbench.npz_rows import read_row, row_bytes, row_start
from cxrbench.zip_members import member_bytes, member_start, names_of_folder, read_member


class _Archive(NamedTuple):
    """How what a kind of archive holds is read: its bytes, the first of them, and how many there are."""

    read: Callable[[Path, str], bytes]
    start: Callable[[Path, str, int], bytes]
    size: Callable[[Path, str], int]


_ARCHIVES = {
    ".zip": _Archive(read_member, member_start, member_bytes),
    ".npz": _Archive(read_row, row_start, row_bytes),
}
"""By how the name of a file ends."""


def read_source(root: Path, source: str) -> bytes:
    """The bytes at a source; any number of threads may read at once.

    Raises:
        CxrbenchError: the source leads out of ``root``, is missing, or cannot be read.
        DamagedImageError: its bytes in an archive are damaged.
    """
    path, name = _locate(root, source)
    try:
        return _archive(path).read(path, name) if name else path.read_bytes()
    except OSError as error:
        raise _unreadable(root, source, error) from error


def read_start(root: Path, source: str, count: int) -> bytes:
    """The first ``count`` bytes at a source, or fewer where it is shorter; cheap for large files.

    Of a damaged member of a zip file what can be unpacked, which may be nothing.

    Raises:
        CxrbenchError, DamagedImageError: as :func:`read_source`.
    """
    path, name = _locate(root, source)
    try:
        if name:
            return _archive(path).start(path, name, count)
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise _unreadable(root, source, error) from error


def source_stamp(root: Path, source: str) -> tuple[int, int]:
    """Size in bytes and modification time in ns; while they stay, the bytes are taken to be the same.

    For what lies in an archive the time is the archive's.

    Raises:
        CxrbenchError: as :func:`read_source`.
    """
    path, name = _locate(root, source)
    try:
        facts = path.stat()
        size = _archive(path).size(path, name) if name else facts.st_size
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
            return names_of_folder(path, inside.rpartition("/")[0])
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
        if PurePosixPath(part).suffix.lower() in _ARCHIVES:
            archive = root.joinpath(*parts[:position])
            if archive.is_file():
                return archive, "/".join(parts[position:])
    return root.joinpath(*parts), ""


def _archive(path: Path) -> _Archive:
    return _ARCHIVES[path.suffix.lower()]


def _unreadable(root: Path, source: str, error: OSError) -> CxrbenchError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return CxrbenchError(f"The file {source} is missing in {root}; put it back or download it again.")
    why = error.strerror or error
    return CxrbenchError(f"The file {source} in {root} cannot be read ({why}); mend that.")
