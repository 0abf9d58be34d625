"""Lossless JPEG (ITU-T T.81, process 14), which no package of the tests writes."""

from __future__ import annotations

import struct

import numpy as np

_CODE_BITS = 5
"""Of each of the 17 categories of differences: a Huffman table need not be a good one."""


def lossless_jpeg(pixels: np.ndarray, bits: int, selection: int = 1) -> bytes:
    """Grey levels ``[height, width]`` of so many bits; ``selection`` is the predictor's: 1 or 7."""
    stored = pixels.astype(np.int64)
    counts = bytes(17 if length == _CODE_BITS else 0 for length in range(1, 17))
    parts = [
        b"\xff\xd8",
        _segment(0xC4, b"\0" + counts + bytes(range(17))),
        _segment(0xC3, struct.pack(">BHHB", bits, *stored.shape, 1) + b"\x01\x11\x00"),
        _segment(0xDA, b"\x01\x01\x00" + bytes([selection]) + b"\0\0"),
        _entropy_coded(stored - _predicted(stored, bits, selection)),
        b"\xff\xd9",
    ]
    return b"".join(parts)


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _predicted(stored: np.ndarray, bits: int, selection: int) -> np.ndarray:
    """What each sample is predicted to be: T.81 H.1.2.1."""
    left, above = np.roll(stored, 1, axis=1), np.roll(stored, 1, axis=0)
    predicted = left if selection == 1 else (left + above) >> 1
    predicted[0] = left[0]
    predicted[:, 0] = above[:, 0]
    predicted[0, 0] = 1 << (bits - 1)
    return predicted


def _entropy_coded(differences: np.ndarray) -> bytes:
    """T.81 H.1.2.2: the category of each difference modulo 2¹⁶, and which of the category it is."""
    text = []
    for each in differences.ravel().tolist():
        value = (each + 0x7FFF) % 0x10000 - 0x7FFF
        category = abs(value).bit_length()
        text.append(f"{category:0{_CODE_BITS}b}")
        if 0 < category < 16:
            text.append(f"{value if value > 0 else value + (1 << category) - 1:0{category}b}")
        elif category == 16 and value != 0x8000:
            raise AssertionError(value)
    whole = "".join(text)
    whole += "1" * (-len(whole) % 8)
    return int(whole, 2).to_bytes(len(whole) // 8, "big").replace(b"\xff", b"\xff\x00")
