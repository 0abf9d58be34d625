"""Files for tests of prediction: a table of drawn images as PNG, and DICOM files of given pixels."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from PIL import Image
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from cxrbench.datasets.phantom import Phantom

SHAPE = (90, 100)
"""Height and width of the PNG files: neither square nor the network's size."""


def write_table(folder: Path) -> Path:
    """PNG files of a small phantom and ``table.csv``, a data set for ``csv:table=table.csv``."""
    phantom = Phantom(train_val=80, test=24)
    collection = phantom.read(None)
    ids, labels = collection.manifest.index, collection.labels
    for image_id in ids:
        image = Image.fromarray(phantom.pixels(None, image_id, 96))
        image.resize(SHAPE[::-1]).save(folder / f"{image_id}.png")
    table = collection.manifest[["patient_id", "age", "sex", "view"]].assign(
        image=[f"{image_id}.png" for image_id in ids],
        labels=["|".join(labels.columns[row == 1]) or "No Finding" for row in labels.to_numpy()],
        role=collection.manifest["official"],
    )
    table.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def dicom(stored: np.ndarray, bits: int = 8, **tags: object) -> pydicom.Dataset:
    """A radiograph of stored values; its window is all of its bits, unless tags say otherwise."""
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = DigitalXRayImageStorageForPresentation
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid(entropy_srcs=["x"])
    file.PatientName, file.PatientID = "Doe^Jane", "p-17"
    file.Modality, file.BodyPartExamined, file.ViewPosition = "DX", "CHEST", "PA"
    file.PatientAge, file.PatientSex = "058Y", "F"
    file.Rows, file.Columns = stored.shape
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = 8 if bits == 8 else 16
    file.BitsStored, file.HighBit, file.PixelRepresentation = bits, bits - 1, 0
    file.WindowCenter, file.WindowWidth = 2 ** (bits - 1), 2**bits
    file.PixelData = stored.astype(np.uint8 if bits == 8 else np.uint16).tobytes()
    for name, value in tags.items():
        if value is None:
            delattr(file, name)
        else:
            setattr(file, name, value)
    return file


def content(file: pydicom.Dataset) -> bytes:
    written = io.BytesIO()
    pydicom.dcmwrite(written, file, enforce_file_format=True)
    return written.getvalue()


def facts(table: Path) -> pd.DataFrame:
    return pd.read_csv(table).set_index("image")
