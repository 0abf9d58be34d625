"""Grey levels of DICOM files, with pydicom, which is optional."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.decoding import require_size
from cxrbench.errors import CxrbenchError, DamagedImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.uid import UID

_BROKEN = (
    *(OSError, EOFError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError),
    *(struct.error, zlib.error),
)
"""What pydicom and decoders raise on content that is damaged."""

_NEEDED = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation"),
)
"""Without these, pixels cannot be read (PS3.3 C.7.6.3)."""


def grey_dicom(content: bytes, name: str) -> NDArray[np.uint8]:
    """A DICOM file's grey levels ``[height, width]`` as they are meant to be seen.

    Stored values go through the modality's rescaling, then the first VOI window or table where there is one
    (DICOM PS3.3 C.11.1, C.11.2), then onto 0..255: the ends of the window, or without a window the least
    and greatest value. ``MONOCHROME1`` is turned, so that more is always lighter. A window or rescaling that
    is no number, or a window without width, is as none.

    Raises:
        CxrbenchError: pydicom, or what it needs for this file's compression, is not installed.
        DamagedImageError: the file is damaged, too large, or holds no image, colours or several frames.
    """
    with reading(name):
        file = read_dicom(content)
        _require_image(file, name)
        _require_decoder(file, name)
        from pydicom.pixels.utils import pixel_array

        # The first frame: files of one may have more than they say.
        return _shown(file, pixel_array(file, index=0))


def read_dicom(content: bytes, tags: Sequence[str] | None = None) -> Any:
    """The data set of a DICOM file; only these tags, and no pixels, where tags are given.

    A file without the mark, or without the group that says how it is written, is read as pydicom guesses.
    What is raised is pydicom's, see :func:`reading`.
    """
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    specific = None if tags is None else list(tags)
    file = dcmread(
        io.BytesIO(content), stop_before_pixels=tags is not None, force=True, specific_tags=specific
    )
    if "TransferSyntaxUID" not in file.file_meta:
        implicit, little = file.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return file


@contextmanager
def reading(name: str, *, detail: bool = True) -> Iterator[None]:
    """Say in one sentence what goes wrong where a block reads a DICOM file with pydicom.

    Args:
        name: of the image.
        detail: whether the sentence has what pydicom says, which may hold any of the file's text.

    Raises:
        CxrbenchError: as :func:`grey_dicom`.
        DamagedImageError: the file is damaged.
    """
    try:
        import pydicom
        from pydicom.errors import BytesLengthException, InvalidDicomError
    except ModuleNotFoundError as error:
        raise CxrbenchError(
            f"The image {name} is a DICOM file, which pydicom reads; pip install 'cxrbench[dicom]'."
        ) from error
    # Warnings of values that are not as the standard has them would show these, patients' names among them.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    warnings.filterwarnings("ignore", module=r"pydicom\.")
    try:
        yield
    except (BytesLengthException, InvalidDicomError, *_BROKEN) as error:
        said = f" ({' '.join(str(error).split())[:80]})" if detail else ""
        raise DamagedImageError(name, f"is a damaged DICOM file{said}") from error


def _require_image(file: Any, name: str) -> None:
    """Refuse what is no single grey image of known form.

    Raises:
        DamagedImageError: it is none.
    """
    if "PixelData" not in file:
        raise DamagedImageError(name, "is a DICOM file without an image, or cut short")
    if missing := [tag for tag in _NEEDED if file.get(tag) is None]:
        raise DamagedImageError(name, f"is a DICOM file without {', '.join(missing)}")
    grey = str(file.PhotometricInterpretation).startswith("MONOCHROME")
    if not grey or int(file.get("NumberOfFrames") or 1) > 1:
        raise DamagedImageError(name, "is a DICOM file of colours or several frames")
    require_size(int(file.Columns), int(file.Rows), name)


def _require_decoder(file: Any, name: str) -> None:
    """Refuse pixels that are compressed in a way that nothing here unpacks.

    Raises:
        CxrbenchError: the sentence names the package that is missing, if there is one.
        DamagedImageError: the file does not say how its pixels are compressed.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEGExtended12Bit

    syntax = file.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        if file["PixelData"].is_undefined_length:
            raise DamagedImageError(name, "is a DICOM file of compressed pixels that does not say how")
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise CxrbenchError(
            f"The image {name} is compressed as {syntax.name}, which pydicom does not read; unpack it first."
        ) from error
    # Pillow takes this one, and then fails on more than 8 bits.
    beyond_pillow = syntax == JPEGExtended12Bit and int(file.BitsStored) > 8
    lacking = "pylibjpeg" not in decoder.available_plugins
    if not decoder.is_available or (beyond_pillow and lacking):
        package, extra = _unpacked_by(syntax)
        raise CxrbenchError(
            f"The image {name} is compressed as {syntax.name}, which {package} unpacks; pip install "
            f"'cxrbench[{extra}]'."
        )


def _unpacked_by(syntax: UID) -> tuple[str, str]:
    """The package that unpacks it, and the extra that has it."""
    from pydicom.uid import JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

    if syntax in JPEGLSTransferSyntaxes:
        return "pyjpegls", "dicom"
    if syntax in JPEGTransferSyntaxes:
        return "pylibjpeg-libjpeg", "dicom-jpeg"
    return "pylibjpeg-openjpeg", "dicom"


def _shown(file: Any, stored: NDArray[np.generic]) -> NDArray[np.uint8]:
    from pydicom.pixels.processing import apply_modality_lut, apply_windowing

    _drop_useless(file)
    values = apply_modality_lut(stored, file)
    looked_up = _by_table(file, values)
    if looked_up is None and "WindowCenter" in file:
        seen = np.asarray(apply_windowing(values, file), np.float64)
        # The window's ends, whether the image reaches them or not; of a sigmoid, exp() overflows to its end.
        with np.errstate(over="ignore"):
            low, high = map(float, apply_windowing(np.array([-1e9, 1e9]), file))
    else:
        seen = np.asarray(values if looked_up is None else looked_up, np.float64)
        low, high = float(seen.min()), float(seen.max())
    # Where rescaling turns values, pydicom's window has its upper end below.
    grey = np.zeros_like(seen) if high == low else (seen - low) / (high - low)
    if file.PhotometricInterpretation == "MONOCHROME1":
        grey = 1 - grey
    levels: NDArray[np.uint8] = np.rint(grey.clip(0, 1) * 255).astype(np.uint8)
    return levels


def _by_table(file: Any, values: NDArray[Any]) -> NDArray[Any] | None:
    """Values by the first VOI table; None where there is none, or one without entries.

    Looked up here, since pydicom 3.0 counts entries in their own type: of a table of 8 bits, value 256 would
    be looked up as 0. Values before the first that the table names have its first entry, those behind its
    end the last (PS3.3 C.11.2.1.1).
    """
    tables = list(file.get("VOILUTSequence") or ())
    if not tables or tables[0].get("LUTDescriptor") is None or not tables[0].get("LUTData"):
        return None
    table = tables[0]
    count, first, _ = map(int, table.LUTDescriptor)
    entries = table["LUTData"].value
    if isinstance(entries, bytes):
        _, little = file.original_encoding
        words = len(entries) >= 2 * (count or 2**16)
        entries = np.frombuffer(entries, ("<u2" if little else ">u2") if words else np.uint8)
    entries = np.atleast_1d(entries)[: count or 2**16]
    places = np.rint(values).astype(np.int64) - first
    found: NDArray[Any] = entries[places.clip(0, len(entries) - 1)]
    return found


def _drop_useless(file: Any) -> None:
    """Take out a window or a rescaling that says nothing."""
    exact = str(file.get("VOILUTFunction") or "LINEAR").strip().upper() != "LINEAR"
    width, centre = _number(file, "WindowWidth"), _number(file, "WindowCenter")
    useless = []
    if not (math.isfinite(centre) and (width > 0 if exact else width >= 1) and math.isfinite(width)):
        useless += ["WindowCenter", "WindowWidth"]
    if not all(math.isfinite(_number(file, tag)) for tag in ("RescaleSlope", "RescaleIntercept")):
        useless += ["RescaleSlope", "RescaleIntercept"]
    for tag in useless:
        if tag in file:
            del file[tag]


def _number(file: Any, tag: str) -> float:
    """A tag's first value; NaN where it is none."""
    try:
        value = file.get(tag)
        return float(value if isinstance(value, str | float | int) else value[0])
    except (TypeError, ValueError, LookupError):
        return math.nan
