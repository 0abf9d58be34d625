"""The fast way through the PNGs that radiographs mostly are: 8-bit greyscale."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_START = struct.Struct(">8s4x4sIIBBBBB")
"""Signature and IHDR: width, height, bit depth, colour type, compression, filter, interlace (PNG 11.2.1)."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PLAIN_GREY = (8, 0, 0, 0, 0)
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by colour type."""


HEADER_BYTES = _START.size
"""What of a file :func:`channels` looks at."""


def channels(start: bytes) -> int | None:
    """Samples of a pixel by the header of a PNG, of which ``start`` is the beginning; None for anything else.

    4 are red, green, blue and opacity, 2 grey and opacity, 1 also a palette's index.
    """
    if len(start) < _START.size:
        return None
    signature, chunk, _, _, _, color, *_ = _START.unpack_from(start)
    return _SAMPLES.get(color) if (signature, chunk) == (_SIGNATURE, b"IHDR") else None


def plain_grey(content: bytes, largest: int) -> NDArray[np.uint8] | None:
    """Grey levels ``[height, width]`` of a sound PNG of 8-bit greys, not interlaced.

    None where it has more than ``largest`` pixels, and for anything else, damaged files among it: Pillow
    reads it, or says what is wrong. kornia-rs decodes to the same bytes in less than half of
    Pillow's time; it holds the interpreter's lock meanwhile.
    """
    if len(content) < _START.size:
        return None
    signature, chunk, width, height, *kind = _START.unpack_from(content)
    if (signature, chunk, tuple(kind)) != (_SIGNATURE, b"IHDR", _PLAIN_GREY) or width * height > largest:
        return None
    from kornia_rs.io import decode_image_png_u8

    try:
        grey: NDArray[np.uint8] = decode_image_png_u8(content, (height, width), "mono")[..., 0]
    except Exception as error:
        # The decoder raises this very class for content that is damaged, and nothing narrower.
        if type(error) is not Exception:
            raise
        return None
    return grey


def lacks_rows(content: bytes) -> bool:
    """Whether the compressed rows of a sound PNG end before its last one; not known of interlaced ones.

    Raises:
        zlib.error: they are damaged.
        struct.error: a chunk is.
    """
    if len(content) < _START.size:
        return False
    signature, _, width, height, depth, colour, _, _, interlaced = _START.unpack_from(content)
    if signature != _SIGNATURE or interlaced:
        return False
    # Each row follows a byte that names its filter.
    missing = height * (1 + (width * depth * _SAMPLES[colour] + 7) // 8)
    inflate, place = zlib.decompressobj(), len(_SIGNATURE)
    while missing > 0 and place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if kind == b"IDAT":
            missing -= len(inflate.decompress(content[place + 8 : place + 8 + length], missing))
        # Length, name and check sum are 12 bytes.
        place += 12 + length
    return bool(missing > 0)
