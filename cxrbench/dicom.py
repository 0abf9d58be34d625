"""Grey levels of DICOM files, with pydicom, which is optional."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.decoding import require_size
from cxrbench.errors import CxrbenchError, DamagedImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BROKEN = (OSError, EOFError, AttributeError, LookupError, TypeError, ValueError, struct.error)
"""What pydicom raises on content that is damaged."""


def grey_dicom(content: bytes, name: str) -> NDArray[np.uint8]:
    """A DICOM file's grey levels ``[height, width]`` as they are meant to be seen.

    Stored values go through the modality's rescaling, then the first VOI window or table where there is one
    (DICOM PS3.3 C.11.1, C.11.2), then onto 0..255: the ends of the window, or without a window the least
    and greatest value. ``MONOCHROME1`` is turned, so that more is always lighter.

    Raises:
        CxrbenchError: pydicom, or what it needs for this file's compression, is not installed.
        DamagedImageError: the file is damaged, too large, or holds colours or several frames.
    """
    with reading(name):
        import pydicom

        file = pydicom.dcmread(io.BytesIO(content))
        grey = str(file.PhotometricInterpretation).startswith("MONOCHROME")
        if not grey or int(file.get("NumberOfFrames") or 1) > 1:
            raise DamagedImageError(name, "is a DICOM file of colours or several frames")
        require_size(int(file.Columns), int(file.Rows), name)
        return _shown(file, file.pixel_array)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Say in one sentence what goes wrong where a block reads a DICOM file with pydicom.

    Raises:
        CxrbenchError: as :func:`grey_dicom`.
        DamagedImageError: the file is damaged.
    """
    try:
        import pydicom
        from pydicom.errors import InvalidDicomError
    except ModuleNotFoundError as error:
        raise CxrbenchError(
            f"The image {name} is a DICOM file, which pydicom reads; pip install 'cxrbench[dicom]'."
        ) from error
    # Warnings of values that are not as the standard has them would show these, patients' names among them.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        yield
    except (NotImplementedError, RuntimeError) as error:
        raise CxrbenchError(
            f"The image {name} is compressed in a way that pydicom cannot read here "
            f"({' '.join(str(error).split())[:100]}); pip install 'cxrbench[dicom-jpeg]' or unpack it."
        ) from error
    except (InvalidDicomError, *_BROKEN) as error:
        short = " ".join(str(error).split())[:80]
        raise DamagedImageError(name, f"is a damaged DICOM file ({short})") from error


def _shown(file: Any, stored: NDArray[np.generic]) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    values = apply_modality_lut(stored, file)
    seen = np.asarray(apply_voi_lut(values, file), dtype=np.float64)
    if "WindowCenter" in file and "VOILUTSequence" not in file:
        # The window's ends, whether the image reaches them or not.
        low, high = map(float, apply_voi_lut(np.array([-1e9, 1e9]), file))
    else:
        low, high = float(seen.min()), float(seen.max())
    grey = np.zeros_like(seen) if high <= low else (seen - low) / (high - low)
    if file.PhotometricInterpretation == "MONOCHROME1":
        grey = 1 - grey
    levels: NDArray[np.uint8] = np.rint(grey.clip(0, 1) * 255).astype(np.uint8)
    return levels
