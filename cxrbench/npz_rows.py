"""Rows of arrays in ``.npz`` files as sources, so that each image of a stack is one by itself.

``train_images/17`` is row 17 of the array ``train_images``, as its bytes in C order. Nothing is unpickled. A
packed array can only be read from its beginning: each thread goes on from the row that it read last, so that
reading rows in their order unpacks an array once a thread, in no memory to speak of.
"""

from __future__ import annotations

import threading
import zipfile
import zlib
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from cxrbench.errors import CxrbenchError, DamagedImageError

_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Stack(NamedTuple):
    """An array of rows: its shape and type, and where its bytes begin behind its header."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int

    @property
    def row_bytes(self) -> int:
        """Bytes of each row."""
        return prod(self.shape[1:]) * self.dtype.itemsize


class _Reading(threading.local):
    """What this thread reads: the array's file, its size and time, the array, and the open member."""

    of: tuple[Path, int, int, str] | None = None
    archive: zipfile.ZipFile | None = None
    member: IO[bytes] | None = None


_reading = _Reading()


def stack_of(path: Path, array: str) -> Stack:
    """What the header of an array says; its rows are not read.

    Raises:
        FileNotFoundError: there is no such array.
        CxrbenchError: the file is no archive of arrays, or the array is not one of rows of numbers.
    """
    facts = path.stat()
    return _stack(path, facts.st_size, facts.st_mtime_ns, array)


def row_bytes(path: Path, name: str) -> int:
    """How many bytes a row has, such as ``train_images/17``.

    Raises:
        FileNotFoundError: there is no such row.
        CxrbenchError: the file is no archive of arrays, or the array is not one of rows of numbers.
    """
    return _found(path, name)[2].row_bytes


def read_row(path: Path, name: str) -> bytes:
    """The bytes of a row.

    Raises:
        FileNotFoundError: there is no such row.
        CxrbenchError: as :func:`row_bytes`.
        DamagedImageError: the array is cut short or damaged there.
    """
    array, row, stack = _found(path, name)
    try:
        member = _opened(path, array)
        member.seek(stack.start + row * stack.row_bytes)
        content = member.read(stack.row_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        _close()
        raise DamagedImageError(f"{name} in {path}", "is damaged in its archive") from error
    if len(content) != stack.row_bytes:
        raise DamagedImageError(f"{name} in {path}", "is cut off in its archive")
    return content


def row_start(path: Path, name: str, count: int) -> bytes:
    """The first ``count`` bytes of a row, or fewer where it is shorter.

    Raises:
        FileNotFoundError, CxrbenchError: as :func:`read_row`.
    """
    return read_row(path, name)[:count]


def _found(path: Path, name: str) -> tuple[str, int, Stack]:
    array, _, row = name.rpartition("/")
    stack = stack_of(path, array)
    if not (row.isascii() and row.isdecimal()) or int(row) >= stack.shape[0]:
        raise FileNotFoundError(name)
    return array, int(row), stack


@lru_cache(maxsize=64)
def _stack(path: Path, size: int, mtime_ns: int, array: str) -> Stack:
    """What the array's header says; read again where the file's size or time changed."""
    try:
        with zipfile.ZipFile(path) as archive:
            if f"{array}.npy" not in archive.namelist():
                raise FileNotFoundError(array)
            with archive.open(f"{array}.npy") as member:
                shape, by_columns, dtype = _READ_HEADER[npy.read_magic(member)](member)
                start = member.tell()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, RuntimeError) as error:
        raise CxrbenchError(
            f"The array {array} in {path} cannot be read ({' '.join(str(error).split())}); download it again."
        ) from error
    if not shape or by_columns or dtype.hasobject:
        raise CxrbenchError(f"The array {array} in {path} is not one of rows of numbers; give another file.")
    return Stack(shape, dtype, start)


def _opened(path: Path, array: str) -> IO[bytes]:
    facts = path.stat()
    of = path, facts.st_size, facts.st_mtime_ns, array
    if _reading.of != of or _reading.member is None:
        _close()
        _reading.archive = zipfile.ZipFile(path)
        _reading.member = _reading.archive.open(f"{array}.npy")
        _reading.of = of
    return _reading.member


def _close() -> None:
    for each in (_reading.member, _reading.archive):
        if each is not None:
            each.close()
    _reading.of = _reading.archive = _reading.member = None
