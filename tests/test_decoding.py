"""Every kind of image file, made on the spot, against the greys that it was made from."""

import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbench.decoding import LARGEST, grey_image
from cxrbench.errors import CxrbenchError, DamagedImageError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
NOISE = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
SMOOTH = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)


def saved(image, form="PNG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def png(pixels=GREY):
    return saved(Image.fromarray(pixels))


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(width, height, depth, colour, rows, *extra, interlaced=0):
    """A PNG from its packed rows, each after a filter byte of 0."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(extra)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("L", GREY), ("RGB", GREY), ("RGBA", GREY), ("LA", GREY), ("1", np.where(GREY >= 128, 255, 0))],
)
def test_every_mode_of_png_becomes_grey(mode, expected):
    content = saved(Image.fromarray(GREY).convert(mode, dither=Image.Dither.NONE))
    pixels = grey_image(content, "x")
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(0, 240, 20))])
def test_a_palette_becomes_grey_transparent_or_not(transparency, recwarn):
    image = Image.fromarray(GREY).quantize(256)
    content = saved(image, **({} if transparency is None else {"transparency": transparency}))
    assert np.array_equal(grey_image(content, "x"), GREY)
    assert not recwarn.list


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_ignored(mode):
    image = Image.fromarray(GREY).convert(mode)
    image.putalpha(Image.fromarray(GREY[::-1].copy()))
    assert np.array_equal(grey_image(saved(image), "x"), GREY)


def test_a_transparent_grey_is_its_grey():
    assert np.array_equal(grey_image(saved(Image.fromarray(GREY), transparency=40), "x"), GREY)


def test_colours_are_luminance():
    colours = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    expected = colours @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey_image(png(colours), "x") - expected).max() <= 1


def test_16_bits_are_scaled_and_not_clipped():
    levels = np.array([[0, 128, 129, 256, 257, 32768, 65535]], dtype=np.uint16)
    pixels = grey_image(png(levels), "deep")
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [np.round(levels[0] / 65535 * 255).astype(int).tolist()]


@pytest.mark.parametrize(
    ("greatest", "white"), [(255, 255), (256, 1023), (900, 1023), (4095, 4095), (4096, 65535)]
)
def test_files_of_16_bits_that_hold_fewer_are_scaled_by_those(greatest, white):
    levels = np.linspace(0, greatest, 9).astype(np.uint16)[None]
    expected = np.round(levels / white * 255).astype(int).tolist()
    assert grey_image(png(levels), "deep").tolist() == expected
    assert grey_image(saved(Image.fromarray(levels), "TIFF"), "deep").tolist() == expected


@pytest.mark.parametrize(("depth", "colour", "width"), [(8, 0, 4), (16, 0, 2), (8, 2, 4), (1, 0, 32)])
def test_sound_rows_that_end_early_are_truncated(depth, colour, width):
    row = bytes(range(1, 1 + width * depth * (3 if colour == 2 else 1) // 8))
    assert grey_image(raw_png(width, 3, depth, colour, [row] * 3), "x").shape == (3, width)
    for rows in ([row] * 2, [row, row, row[:-1]]):
        with pytest.raises(DamagedImageError, match="is truncated"):
            grey_image(raw_png(width, 3, depth, colour, rows), "x")


@pytest.mark.parametrize(("colour", "samples"), [(4, 2), (2, 3), (6, 4)])
def test_16_bits_with_alpha_or_colours(colour, samples):
    rows = [b"".join(struct.pack(">H", level * 257) * samples for level in row) for row in GREY.tolist()]
    assert np.array_equal(grey_image(raw_png(4, 3, 16, colour, rows), "x"), GREY)


def test_few_bits_span_all_greys():
    content = raw_png(4, 1, 2, 0, [bytes([0b00011011])])
    assert grey_image(content, "x").tolist() == [[0, 85, 170, 255]]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_grey_png_comes_back_as_it_was(height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    again = grey_image(png(pixels), "x")
    assert np.array_equal(again, pixels)


def test_notes_beside_the_image_do_not_matter():
    rows = [row.tobytes() for row in GREY]
    extra = (chunk(b"gAMA", struct.pack(">I", 10)), chunk(b"tEXt", b"Title\0x"), chunk(b"zzZz", b"??"))
    assert np.array_equal(grey_image(raw_png(4, 3, 8, 0, rows, *extra), "x"), GREY)


@pytest.mark.parametrize("form", ["BMP", "TIFF"])
def test_other_lossless_formats(form):
    assert np.array_equal(grey_image(saved(Image.fromarray(GREY), form), "x"), GREY)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_is_close(mode):
    content = saved(Image.fromarray(SMOOTH).convert(mode), "JPEG", quality=95)
    assert np.abs(grey_image(content, "x").astype(int) - SMOOTH).max() <= 4


HUGE = raw_png(40_000, 40_000, 8, 0, [b"\0" * 10])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "has zero bytes"),
        (b"\0" * 500, "is not an image"),
        (b"<html>Not found</html>", "is not an image"),
        (saved(Image.fromarray(GREY), "GIF"), "is not an image"),
        (b"\x89PNG\r\n\x1a\n", "is truncated or damaged at its start"),
        (b"\x89PN", "is truncated or damaged at its start"),
        (png(NOISE)[:1500], "is truncated"),
        (saved(Image.fromarray(SMOOTH), "JPEG")[:400], "is truncated"),
        (png(NOISE)[:600] + b"xxxx" + png(NOISE)[604:], "is damaged"),
        (HUGE, f"claims over {LARGEST:,} pixels"),
        (raw_png(10_000, 9_000, 8, 0, []), f"claims over {LARGEST:,} pixels"),
        (saved(Image.fromarray(GREY.astype(np.float32)), "TIFF"), "has floats instead of grey levels"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_wrong_is_said_in_one_sentence(content, what, capfd):
    with pytest.raises(DamagedImageError) as refusal:
        grey_image(content, "scan-7")
    assert str(refusal.value).startswith(f"The image scan-7 {what}")
    assert str(refusal.value).endswith("; download it again or leave it out.")
    assert refusal.value.image == "scan-7"
    assert capfd.readouterr().err == ""


FILES = (png(SMOOTH), saved(Image.fromarray(SMOOTH), "JPEG"), saved(Image.fromarray(SMOOTH), "TIFF"))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 255))
def test_whatever_is_lost_or_changed_pixels_or_one_sentence_come_back(content, cut, at, byte):
    damaged = bytearray(content)
    damaged[at % len(damaged)] = byte
    sentence, pixels = "", np.zeros((1, 1))
    try:
        pixels = grey_image(bytes(damaged[: len(damaged) - cut % len(damaged)]), "scan-7")
    except DamagedImageError as error:
        sentence = str(error)
    assert (sentence.startswith("The image scan-7 ") and "\n" not in sentence) or pixels.dtype == np.uint8
    assert pixels.ndim == 2


# DICOM


def dicom(stored, **tags):
    """A DICOM file of stored values ``[height, width]`` (uint16 or int16)."""
    pydicom = pytest.importorskip("pydicom", reason="pydicom is optional")
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=["x"])
    file.Rows, file.Columns = stored.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 16
    file.HighBit, file.PixelRepresentation = 15, int(stored.dtype == np.int16)
    file.PixelData = stored.tobytes()
    for name, value in tags.items():
        setattr(file, name, value)
    content = io.BytesIO()
    pydicom.dcmwrite(content, file, enforce_file_format=True)
    return content.getvalue()


LEVELS = np.array([[0, 100, 300, 500, 4000]], dtype=np.uint16)


def test_a_dicom_spans_all_greys():
    pixels = grey_image(dicom(LEVELS), "x")
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == np.round(LEVELS / 4000 * 255).astype(int).tolist()


def test_a_dicom_that_is_inverted_is_turned():
    inverted = grey_image(dicom(LEVELS, PhotometricInterpretation="MONOCHROME1"), "x")
    assert (inverted == 255 - grey_image(dicom(LEVELS), "x")).all()


@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -1000), (0.5, 24)])
def test_the_window_is_of_rescaled_values(slope, intercept):
    """DICOM PS3.3 C.11.2.1.2.1, worked out by hand: centre and width in the units of the rescaled values."""
    centre, width = 300.5 * slope + intercept, 401 * slope
    tags = {
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
        "WindowCenter": centre,
        "WindowWidth": width,
    }
    values = LEVELS.astype(float) * slope + intercept
    shares = ((values - (centre - 0.5)) / (width - 1) + 0.5).clip(0, 1)
    assert np.abs(grey_image(dicom(LEVELS, **tags), "x") - shares * 255).max() <= 0.51


def test_signed_values():
    stored = np.array([[-1000, 0, 1000]], dtype=np.int16)
    assert grey_image(dicom(stored), "x").tolist() == [[0, 128, 255]]


def test_a_flat_dicom_is_flat():
    assert grey_image(dicom(np.full((2, 3), 7, dtype=np.uint16)), "x").tolist() == [[0] * 3] * 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-5],
        lambda content: content[:200],
        lambda content: content[:140],
    ],
)
def test_a_dicom_cut_short_is_named(damage):
    with pytest.raises(DamagedImageError, match=r"The image scan-7 is a (damaged DICOM file|.*cut short)"):
        grey_image(damage(dicom(LEVELS)), "scan-7")


def test_a_dicom_that_claims_too_much_is_named():
    with pytest.raises(DamagedImageError, match="claims over"):
        grey_image(dicom(LEVELS, Rows=40_000, Columns=40_000), "scan-7")


@pytest.mark.parametrize("tags", [{"PhotometricInterpretation": "RGB"}, {"NumberOfFrames": 2}])
def test_colours_and_films_are_named(tags):
    with pytest.raises(DamagedImageError, match="colours or several frames"):
        grey_image(dicom(LEVELS, **tags), "scan-7")


def test_without_pydicom_the_sentence_says_what_to_install(monkeypatch):
    content = dicom(LEVELS)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(CxrbenchError, match=r"scan-7 is a DICOM file.*pip install 'cxrbench\[dicom\]'"):
        grey_image(content, "scan-7")
