"""Grey levels of the image formats that radiographs come in: PNG, JPEG, TIFF, BMP and DICOM."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from cxrbench.errors import DamagedImageError
from cxrbench.png import lacks_rows, plain_grey

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
"""What Pillow is asked to read; the fewer, the less a hostile file can reach."""

LARGEST = 80_000_000
"""Pixels of the largest image that is decoded; radiographs have up to some 25 million."""

_DICOM_MARK = slice(128, 132)
_DICOM_START = re.compile(
    # Little endian with the value's kind or its short length, or big endian.
    rb"[\x02\x08]\0.\0(?:[A-Z]{2}|[^\0]\0\0\0)|\0\x08\0.[A-Z]{2}",
    re.DOTALL,
)
"""An element of the first groups, with which files without preamble and mark begin (PS3.5, 7.1)."""

DICOM_HEAD = 132
"""Bytes that tell DICOM."""

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)
"""What Pillow raises on content that is damaged."""


def grey_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """An image file's grey levels ``[height, width]``.

    Colours become luminance (ITU-R 601), transparency is ignored, and more than 8 bits are scaled, not
    clipped, see :func:`to_8_bit`. For DICOM see :func:`cxrbench.dicom.grey_dicom`.

    Raises:
        DamagedImageError: the content is empty, cut short, damaged, in no known format, or unfit (too large,
            floats); the sentence names the image ``name``.
        CxrbenchError: it is DICOM and pydicom is not installed.
    """
    if not content:
        raise DamagedImageError(name, "has zero bytes")
    if is_dicom(content):
        from cxrbench.dicom import grey_dicom

        return grey_dicom(content, name)
    plain = plain_grey(content, LARGEST)
    if plain is not None:
        return plain
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            require_size(*image.size, name)
            grey = _grey(image, name)
        # Pillow takes what is missing at the end for black.
        if lacks_rows(content):
            raise DamagedImageError(name, "is truncated")
        return grey
    except UnidentifiedImageError as error:
        raise DamagedImageError(name, _what_else(content)) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except _BROKEN as error:
        cut = "truncated" in str(error) or isinstance(error, EOFError)
        raise DamagedImageError(name, "is truncated" if cut else f"is damaged ({_short(error)})") from error


def is_dicom(content: bytes) -> bool:
    """Whether a file begins as DICOM does (PS3.10, 7.1), or as it does without preamble and mark.

    The first :data:`DICOM_HEAD` bytes are enough.
    """
    return content[_DICOM_MARK] == b"DICM" or _DICOM_START.match(content) is not None


def _grey(image: Image.Image, name: str) -> NDArray[np.uint8]:
    if image.mode == "F":
        raise DamagedImageError(name, "has floats instead of grey levels")
    # 16-bit PNGs open in the modes I;16 or (older Pillow) I, which convert("L") would clip.
    if image.mode.startswith("I"):
        return to_8_bit(np.asarray(image))
    # convert() would adapt it to the new mode, and warn of palettes with several transparent colours.
    image.info.pop("transparency", None)
    return np.asarray(image if image.mode == "L" else image.convert("L"))


def to_8_bit(values: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Grey levels of up to 16 bits as 0..255, rounded; what lies outside is clipped.

    White is 65535 or, in an image whose greatest level has no more than 12, 10 or 8 bits, 4095, 1023 or 255:
    16-bit files are also how detectors of 10 or 12 bits are exported as they are.
    """
    clipped = values.clip(0, 65535).astype(np.uint32)
    greatest = int(clipped.max(initial=0))
    white = next((2**bits - 1 for bits in (8, 10, 12) if greatest < 2**bits), 65535)
    return ((clipped * 255 + white // 2) // white).astype(np.uint8)


def require_size(width: int, height: int, name: str) -> None:
    """Refuse an image of more than :data:`LARGEST` pixels.

    Raises:
        DamagedImageError: it has more.
    """
    if width * height > LARGEST:
        raise _too_large(name)


def _what_else(content: bytes) -> str:
    """What is wrong with content that no format claims."""
    if any(start.startswith(content[:8]) or content.startswith(start) for start in _STARTS):
        return "is truncated or damaged at its start"
    return "is not an image (PNG, JPEG, TIFF, BMP or DICOM)"


_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _too_large(name: str) -> DamagedImageError:
    return DamagedImageError(name, f"claims over {LARGEST:,} pixels")
