"""DICOM as hospitals write it: usual compressions, depths and omissions, against the greys it was made of."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pydicom = pytest.importorskip("pydicom", reason="pydicom is optional")

from lossless_jpeg import lossless_jpeg  # noqa: E402
from pydicom import uid  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402
from pydicom.pixels import get_decoder  # noqa: E402
from radiographs import content, dicom  # noqa: E402

from cxrbench.decoding import grey_image, is_dicom  # noqa: E402
from cxrbench.errors import CxrbenchError, DamagedImageError  # noqa: E402
from cxrbench.predicting.header import read_header  # noqa: E402

BITS = (8, 10, 12, 14, 16)
GREY = (
    np.add.outer(np.arange(60), np.arange(50)) + np.random.default_rng(0).integers(0, 90, (60, 50))
).astype(np.uint8)
"""Some smooth and some noise, 0..197."""


def stored(bits):
    return np.rint(GREY.astype(float) * (2**bits - 1) / 255).astype(np.int64)


def greys(file):
    return grey_image(content(file), "x")


def packed(file, syntax, frame):
    """The file with its pixels as an encoder of others wrote them."""
    file.file_meta.TransferSyntaxUID = syntax
    file.PixelData = encapsulate([frame])
    file["PixelData"].VR = "OB"
    return file


def process_14(bits, values):
    return packed(dicom(values, bits), uid.JPEGLossless, lossless_jpeg(values, bits, selection=7))


def process_14_sv1(bits, values):
    return packed(dicom(values, bits), uid.JPEGLosslessSV1, lossless_jpeg(values, bits))


def compressed(syntax):
    def compress(bits, values):
        file = dicom(values, bits)
        file.compress(syntax)
        return file

    return compress


LOSSLESS = {
    "JPEG lossless": process_14,
    "JPEG lossless SV1": process_14_sv1,
    "JPEG 2000 lossless": compressed(uid.JPEG2000Lossless),
    "JPEG-LS": compressed(uid.JPEGLSLossless),
    "RLE": compressed(uid.RLELossless),
}


@pytest.mark.parametrize("inverted", [False, True], ids=["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("pack", LOSSLESS.values(), ids=LOSSLESS)
def test_what_is_packed_without_loss_is_seen_as_it_was(pack, bits, inverted):
    values = stored(bits)
    file = pack(bits, 2**bits - 1 - values if inverted else values)
    file.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    np.testing.assert_array_equal(greys(file), GREY)


LOSSY = {
    "JPEG 2000": (uid.JPEG2000, {"j2k_psnr": [50]}),
    "JPEG-LS": (uid.JPEGLSNearLossless, {"jls_error": 4}),
}


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(("syntax", "options"), LOSSY.values(), ids=LOSSY)
def test_what_is_packed_with_loss_is_seen_nearly_so(syntax, options, bits):
    values = stored(bits)
    file = dicom(values, bits)
    file.compress(syntax, **options)
    assert file.file_meta.TransferSyntaxUID == syntax
    assert len(file.PixelData) < values.size * file.BitsAllocated // 8
    assert np.abs(greys(file).astype(int) - GREY).max() <= 8


PACKAGED = {
    "implicit": "MR_small_implicit.dcm",
    "big endian": "MR_small_bigendian.dcm",
    "padded": "MR_small_padded.dcm",
    "RLE": "MR_small_RLE.dcm",
    "JPEG 2000": "MR_small_jp2klossless.dcm",
    "JPEG-LS": "MR_small_jpeg_ls_lossless.dcm",
}
"""One signed image of 16 bits, as other programs wrote it; all are part of pydicom's wheel."""


def packaged(name):
    return (Path(pydicom.__file__).parent / "data" / "test_files" / name).read_bytes()


@pytest.mark.parametrize("name", PACKAGED.values(), ids=PACKAGED)
def test_one_image_as_other_programs_wrote_it(name):
    expected = grey_image(packaged("MR_small.dcm"), "x")
    np.testing.assert_array_equal(grey_image(packaged(name), "x"), expected)
    assert expected.std() > 10


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("JPGExtended.dcm", (1024, 256)),
        ("JPEGLSNearLossless_08.dcm", (45, 10)),
        ("JPEGLSNearLossless_16.dcm", (50, 10)),
        ("JPEG2000.dcm", (1024, 256)),
    ],
)
def test_lossy_files_of_other_programs(name, shape):
    found = grey_image(packaged(name), "x")
    assert found.shape == shape
    assert found.std() > 10


# Files that leave out what the standard asks for.


def bare(implicit=False, little=True):
    """Without preamble, mark and the group that says how the rest is written."""
    file = dicom(GREY)
    if not little:
        file["PixelData"].VR = "OB"
    written = io.BytesIO()
    del file.file_meta
    pydicom.dcmwrite(written, file, implicit_vr=implicit, little_endian=little)
    return written.getvalue()


@pytest.mark.parametrize(
    "written",
    [content(dicom(GREY))[132:], bare(), bare(implicit=True), bare(little=False)],
    ids=["meta group", "explicit", "implicit", "big endian"],
)
def test_without_the_mark_it_is_dicom_all_the_same(written):
    assert written[128:132] != b"DICM"
    assert is_dicom(written)
    np.testing.assert_array_equal(grey_image(written, "x"), GREY)
    header = read_header(written, "x")
    assert (header.patient_id, header.age, header.sex, header.view) == ("p-17", 58.0, "F", "PA")


def test_compressed_pixels_without_a_syntax_are_named():
    file = dicom(GREY)
    file.compress(uid.RLELossless)
    written = io.BytesIO()
    del file.file_meta
    pydicom.dcmwrite(written, file, implicit_vr=False, little_endian=True, force_encoding=True)
    with pytest.raises(DamagedImageError, match="compressed pixels that does not say how"):
        grey_image(written.getvalue(), "x")


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"PixelData": None}, "is a DICOM file without an image"),
        ({"PhotometricInterpretation": None}, "is a DICOM file without PhotometricInterpretation"),
        ({"Rows": None, "BitsStored": None}, "is a DICOM file without Rows, BitsStored"),
        ({"NumberOfFrames": 2}, "colours or several frames"),
        ({"Rows": 61}, "is a damaged DICOM file"),
    ],
)
def test_what_it_lacks_is_named(tags, said):
    with pytest.raises(DamagedImageError, match=said):
        greys(dicom(GREY, **tags))


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": None},
        {"WindowWidth": None},
        {"WindowWidth": 0},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": 1},
    ],
    ids=str,
)
def test_a_window_or_rescaling_that_says_nothing_is_as_none(tags):
    window = {"WindowCenter": None, "WindowWidth": None}
    plain = greys(dicom(GREY, **window))
    assert (plain.min(), plain.max()) == (0, 255)
    whole = greys(dicom(GREY))
    window_is_sound = not {"WindowCenter", "WindowWidth"} & set(tags)
    np.testing.assert_array_equal(greys(dicom(GREY, **tags)), whole if window_is_sound else plain)


def test_the_first_of_several_windows():
    several = dicom(GREY, WindowCenter=[128, 40], WindowWidth=[256, 80])
    np.testing.assert_array_equal(greys(several), GREY)


def test_rescaling_that_turns_values():
    """PS3.3 C.11.1: what is stored as 255 is 0 then, and the window is of that."""
    file = dicom(255 - GREY.astype(int), RescaleSlope=-1, RescaleIntercept=255)
    np.testing.assert_array_equal(greys(file), GREY)


def test_a_sigmoid_window():
    """PS3.3 C.11.2.1.3.1, by its formula."""
    file = dicom(GREY, WindowCenter=100, WindowWidth=80, VOILUTFunction="SIGMOID")
    expected = 255 / (1 + np.exp(-4 * (GREY - 100.0) / 80))
    assert np.abs(greys(file) - expected).max() <= 0.51


def test_a_voi_table_goes_before_the_window():
    """Its entries run from the first stored value on; rescaling by 1 and 0 changes nothing."""
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], [each**2 // 255 for each in range(256)]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    file = dicom(GREY, RescaleSlope=1, RescaleIntercept=0, VOILUTSequence=[table])
    mapped = GREY.astype(int) ** 2 // 255
    expected = (mapped - mapped.min()) / (mapped.max() - mapped.min()) * 255
    assert np.abs(greys(file) - expected).max() <= 0.51


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_a_voi_table_has_more_entries_than_its_type_has_numbers(bits, as_bytes):
    """4,096 entries, from value 100 on, of 8 bits or 16; values outside have the entries at its ends."""
    values = np.linspace(0, 4400, 48 * 64).astype(np.uint16).reshape(48, 64)
    entries = np.arange(4096) // 16 * (1 if bits == 8 else 257)
    table = pydicom.Dataset()
    table.LUTDescriptor = [4096, 100, bits]
    table.LUTData = entries.astype("<u2").tobytes() if as_bytes else entries.tolist()
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW" if as_bytes else "US"
    file = dicom(values, bits=16, WindowCenter=10, WindowWidth=5, VOILUTSequence=[table])
    expected = (values.astype(int) - 100).clip(0, 4095) // 16
    assert np.abs(greys(file) - expected).max() <= 1


def test_a_voi_table_without_entries_is_as_none():
    window = {"WindowCenter": 100, "WindowWidth": 80}
    beside = dicom(GREY, **window, VOILUTSequence=[pydicom.Dataset()])
    np.testing.assert_array_equal(greys(beside), greys(dicom(GREY, **window)))


def test_frames_beyond_the_one_that_is_told_are_left_alone():
    file = process_14_sv1(8, GREY)
    file.PixelData = encapsulate([lossless_jpeg(GREY, 8), lossless_jpeg(GREY[::-1], 8)])
    np.testing.assert_array_equal(greys(file), GREY)


FILES = (
    content(dicom(GREY)),
    content(process_14_sv1(12, stored(12))),
    bare(implicit=True),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.integers(0, 1500), st.integers(0, 5000), st.integers(0, 255))
def test_whatever_is_lost_or_changed_pixels_or_one_sentence_come_back(written, at, cut, byte):
    damaged = bytearray(written)
    damaged[at] = byte
    sentence, pixels = "", np.zeros((1, 1))
    try:
        pixels = grey_image(bytes(damaged[: len(damaged) - cut % len(damaged)]), "scan-7")
    except CxrbenchError as error:
        sentence = str(error)
    assert (sentence.startswith("The image scan-7 ") and "\n" not in sentence) or pixels.dtype == np.uint8
    assert pixels.ndim == 2


MISSING = {
    "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])": (
        content(process_14_sv1(8, GREY)),
        ("pylibjpeg",),
        ("pylibjpeg-libjpeg", "dicom-jpeg"),
    ),
    # Pillow says that it can decode this one, and then cannot.
    "JPEG Extended (Process 2 and 4)": (
        packaged("JPGExtended.dcm"),
        ("pylibjpeg",),
        ("pylibjpeg-libjpeg", "dicom-jpeg"),
    ),
    "JPEG-LS Lossless Image Compression": (
        packaged("MR_small_jpeg_ls_lossless.dcm"),
        ("pylibjpeg", "pyjpegls"),
        ("pyjpegls", "dicom"),
    ),
    "JPEG 2000 Image Compression": (
        packaged("JPEG2000.dcm"),
        ("pylibjpeg", "pillow"),
        ("pylibjpeg-openjpeg", "dicom"),
    ),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_decoder_is_named_in_one_sentence(name):
    """Decoders are taken from pydicom, as if their packages were not installed."""
    written, plugins, (package, extra) = MISSING[name]
    decoder = get_decoder(pydicom.dcmread(io.BytesIO(written)).file_meta.TransferSyntaxUID)
    for plugin in plugins:
        decoder.remove_plugin(plugin)
    try:
        with pytest.raises(CxrbenchError) as refusal:
            grey_image(written, "scan-7")
    finally:
        for plugin in plugins:
            decoder.add_plugin(plugin, (f"pydicom.pixels.decoders.{plugin}", "_decode_frame"))
    assert str(refusal.value) == (
        f"The image scan-7 is compressed as {name}, which {package} unpacks; pip install 'cxrbench[{extra}]'."
    )


def test_a_compression_that_nothing_reads_is_named():
    file = packed(dicom(GREY), uid.MPEG2MPML, b"\0" * 64)
    with pytest.raises(CxrbenchError, match=r"compressed as MPEG2.*which pydicom does not read"):
        greys(file)
