"""From a file to pixels as the network's own images were stored, in any thread or process."""

from __future__ import annotations

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


@dataclass(frozen=True)
class ReadImage:
    """A file that could be read.

    Attributes:
        path: of the file.
        header: of a DICOM file.
        pixels: uint8 ``[side, side]``; None where the network takes no images.
        shape: height and width of the image in its file; zeros without pixels.
    """

    path: Path
    header: Header | None
    pixels: NDArray[np.uint8] | None
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
class Reader:
    """Reads files one at a time.

    Attributes:
        dataset: what decoded the images that the network was trained on; None for the usual decoding.
        preprocessing: of whole images.
        side: of the stored square; None where the network takes no images.
    """

    dataset: Dataset | None
    preprocessing: Preprocessing
    side: int | None

    def __call__(self, path: Path) -> ReadImage | Failed:
        """The image of a file, or why there is none."""
        header = None
        try:
            content = path.read_bytes()
            header = read_header(content, str(path)) if is_dicom(content) else None
            if self.side is None:
                return ReadImage(path, header, None, (0, 0))
            whole = self._decoded(content, str(path), self.side)
            height, width = whole.shape
            pixels = squared(self.preprocessing.apply(whole), self.side)
            return ReadImage(path, header, pixels, (height, width))
        except OSError as error:
            return Failed(path, f"cannot be read ({error.strerror or error})")
        except DamagedImageError as error:
            why = error.what
        except CxrbenchError as error:
            why = str(error).rstrip(".")
        return Failed(path, header.without_names(why) if header else why)

    def _decoded(self, content: bytes, name: str, side: int) -> NDArray[np.uint8]:
        if self.dataset is not None:
            return self.dataset.pixels(content, name, side)
        return grey_image(content, name)
