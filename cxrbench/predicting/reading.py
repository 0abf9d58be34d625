"""From a file to pixels as networks' own images were stored, in any thread or process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.decoding import grey_image, is_dicom
from cxrbench.errors import CxrbenchError, DamagedImageError
from cxrbench.interfaces import Dataset, Preprocessing
from cxrbench.pixels.preparing import squared
from cxrbench.predicting.header import Header, read_header

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_THE_FILE = "\0"
"""Stands for the file's path while names are looked for in what is said of it."""


@dataclass(frozen=True)
class ReadImage:
    """A file that could be read.

    Attributes:
        path: of the file.
        header: of a DICOM file.
        pixels: uint8 ``[side, side]`` by the name of the sight; empty where no network takes images.
        shape: height and width of the image in its file; zeros without pixels.
    """

    path: Path
    header: Header | None
    pixels: Mapping[str, NDArray[np.uint8]]
    shape: tuple[int, int]


@dataclass(frozen=True)
class Failed:
    """A file that could not be used.

    Attributes:
        path: of the file.
        why: one clause.
    """

    path: Path
    why: str


@dataclass(frozen=True)
class Sight:
    """How networks see images.

    Attributes:
        dataset: what decoded the images that they were trained on; None for the usual decoding.
        preprocessing: of whole images.
        side: of the stored square.
    """

    dataset: Dataset | None
    preprocessing: Preprocessing
    side: int

    def decoded(self, content: bytes, name: str) -> NDArray[np.uint8]:
        """The whole image ``[h, w]``.

        Raises:
            DamagedImageError: the content is no image.
            CxrbenchError: what decodes it is not installed.
        """
        if self.dataset is not None:
            return self.dataset.pixels(content, name, self.side)
        return grey_image(content, name)

    def seen(self, whole: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A whole image as it is stored: ``[side, side]``."""
        return squared(self.preprocessing.apply(whole), self.side)


@dataclass(frozen=True)
class Reader:
    """Reads files one at a time.

    Attributes:
        sights: by name, what is made of an image; those that share a data set share the decoding.
    """

    sights: Mapping[str, Sight]

    def __call__(self, path: Path) -> ReadImage | Failed:
        """The image of a file, or why there is none."""
        header = None
        try:
            content = path.read_bytes()
            header = read_header(content, str(path)) if is_dicom(content) else None
            return self._read(path, content, header)
        except OSError as error:
            return Failed(path, f"cannot be read ({error.strerror or error})")
        except DamagedImageError as error:
            why = error.what
        except CxrbenchError as error:
            # The path stands beside it anyway.
            why = str(error).replace(str(path), _THE_FILE).rstrip(".")
        return Failed(path, (header.without_names(why) if header else why).replace(_THE_FILE, str(path)))

    def _read(self, path: Path, content: bytes, header: Header | None) -> ReadImage:
        wholes: dict[int, NDArray[np.uint8]] = {}
        pixels, shape = {}, (0, 0)
        for name, sight in self.sights.items():
            if id(sight.dataset) not in wholes:
                wholes[id(sight.dataset)] = sight.decoded(content, str(path))
            whole = wholes[id(sight.dataset)]
            pixels[name], shape = sight.seen(whole), (whole.shape[0], whole.shape[1])
        return ReadImage(path, header, pixels, shape)
