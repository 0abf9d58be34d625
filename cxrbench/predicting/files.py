"""Which files are meant: those that are named, and the images in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cxrbench.decoding import DICOM_HEAD, is_dicom

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
"""Of images, in any case."""


def image_files(paths: Iterable[Path]) -> tuple[list[Path], int]:
    """The images meant by paths, each once, and how many other files lie in the folders.

    A path that is no folder is meant whatever its name. Folders are gone through with all folders below, in
    order of names; links to folders are not followed. In them, images are files with a usual suffix, and
    files without a suffix that begin as DICOM does, as archives write them.
    """
    found: dict[Path, None] = {}
    others = 0
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        # A folder that cannot be listed is named where it is read, as files are.
        for each in _below(path, lambda error: found.update({Path(error.filename): None})):
            if _is_image(each):
                found[each] = None
            else:
                others += 1
    return list(found), others


def _below(folder: Path, cannot: Callable[[OSError], None]) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, onerror=cannot):
        folders.sort()
        yield from (Path(here) / name for name in sorted(names))


def _is_image(path: Path) -> bool:
    if path.suffix:
        # UIDs, which archives call files by, have dots too.
        return path.suffix.lower() in SUFFIXES or (path.suffix[1:].isdigit() and _is_dicom(path))
    return path.name != "DICOMDIR" and _is_dicom(path)


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(DICOM_HEAD))
    except OSError:
        # Named where it is read.
        return True
