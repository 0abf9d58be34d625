"""The fast way gives what Pillow gives, and leaves to it all that it is not sure of."""

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbench.decoding import LARGEST, grey_image
from cxrbench.errors import DamagedImageError
from cxrbench.png import plain_grey


def png(pixels, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(file, "PNG", **options)
    return file.getvalue()


SMOOTH = (np.add.outer(np.arange(90), np.arange(70)) % 256).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (33, 57), dtype=np.uint8)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99), st.integers(0, 9))
def test_greys_are_the_same_bytes(height, width, seed, compress_level):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8).cumsum(1)
    pixels = pixels.astype(np.uint8)
    found = plain_grey(png(pixels, compress_level=compress_level), LARGEST)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, pixels)


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGB", "RGBA", "I;16"])
def test_other_kinds_are_left_to_pillow(mode):
    content = png(SMOOTH, mode)
    assert plain_grey(content, LARGEST) is None
    if mode in ("LA", "RGB", "RGBA"):
        np.testing.assert_array_equal(grey_image(content, "x"), SMOOTH)


def test_transparency_is_ignored():
    np.testing.assert_array_equal(grey_image(png(SMOOTH, transparency=7), "x"), SMOOTH)


END = 12
"""Bytes of the chunk IEND."""


@given(st.integers(0, 3000), st.booleans())
@example(1970, False)
def test_damage_is_left_to_pillow_and_never_shown_as_an_image(place, cut):
    content = png(NOISE)
    place %= len(content)
    damaged = content[:place] if cut else content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
    found = plain_grey(damaged, LARGEST)
    # Damage behind the pixels, in the chunk that ends the file, takes nothing from them.
    assert found is None or (place >= len(content) - END and np.array_equal(found, NOISE))


def test_no_more_pixels_than_allowed():
    assert plain_grey(png(SMOOTH), SMOOTH.size - 1) is None
    assert plain_grey(png(SMOOTH), SMOOTH.size) is not None


def test_a_truncated_file_is_still_called_truncated():
    with pytest.raises(DamagedImageError, match="is truncated"):
        grey_image(png(NOISE)[:1500], "x")
