"""Checks of data sets (:class:`cxrbench.interfaces.Dataset`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cxrbench.collection import Collection
from cxrbench.errors import CxrbenchError, DamagedImageError, UsageError
from cxrbench.roles import assign_roles
from cxrbench.sources import read_source
from cxrbench.testing.check import Check, Subject, require
from cxrbench.testing.components import settings_that_exist

if TYPE_CHECKING:
    from cxrbench.interfaces import Dataset


def recommends_settings_that_exist(subject: Subject) -> None:
    """What recommend() gives are fields of RunSpec and TrainingSpec with values that they accept."""
    dataset: Dataset = subject.make()
    settings_that_exist(dataset.recommend())


def reads_a_manifest(subject: Subject) -> None:
    """Each image has a patient, and age, sex and view in the units of Collection, None or NaN if unknown."""
    collection = _read(subject)
    manifest = collection.manifest
    require(len(manifest), "There are no images.")
    for name, texts in (("image ids", manifest.index), ("patient ids", manifest["patient_id"])):
        require(all(isinstance(text, str) and text for text in texts), f"Some {name} are no text.")
    age = manifest["age"]
    require(age.dtype == np.float64, f"Ages are {age.dtype}, not float64.")
    require((age.isna() | age.between(0, 130)).all(), "Some ages are not in years.")
    for name, known in (("sex", {"M", "F"}), ("view", {"PA", "AP"})):
        others = set(manifest[name].dropna()) - known
        require(not others, f"Values of {name} besides {sorted(known)}: {sorted(map(str, others))[:5]}.")
    for source in manifest["source"]:
        path = PurePosixPath(source)
        require(not path.is_absolute() and ".." not in path.parts, f"The source '{source}' leaves the root.")


def reads_labels(subject: Subject) -> None:
    """Labels are float32: 1, 0, or NaN where unknown; their version is named."""
    collection = _read(subject)
    labels = collection.labels
    require((labels.dtypes == np.float32).all(), f"They are {', '.join(set(map(str, labels.dtypes)))}.")
    require((labels.isna() | labels.isin([0, 1])).all(axis=None), "There are other values.")
    require(collection.label_version, "label_version is empty.")
    if collection.task.kind == "singlelabel":
        sums = labels.sum(axis=1, skipna=False)
        require((sums.isna() | (sums == 1)).all(), "Some rows of a single-label task have not one class.")


def reads_boxes_inside_the_images(subject: Subject) -> None:
    """Boxes name images and classes of the data set, and lie inside 0..1 of the image with some extent."""
    collection = _read(subject)
    boxes = collection.boxes
    require(boxes["image_id"].isin(collection.manifest.index).all(), "Some are of images that are not there.")
    strangers = set(boxes["finding"]) - set(collection.task.classes)
    require(not strangers, f"Some are of {sorted(map(str, strangers))[:5]}, no classes.")
    for start, extent in (("x", "width"), ("y", "height")):
        require((boxes[start] >= 0).all(), f"Some {start} are below 0 or unknown.")
        require((boxes[extent] > 0).all(), f"Some have no {extent}.")
        require((boxes[start] + boxes[extent] <= 1 + 1e-5).all(), f"Some {start} + {extent} are above 1.")


def keeps_patients_apart(subject: Subject) -> None:
    """No patient has images in both official lists, and train, val and test have images."""
    manifest = _read(subject).manifest
    patients = manifest["patient_id"].astype(str)
    both = set(patients[manifest["official"] == "test"]) & set(patients[manifest["official"] != "test"])
    require(not both, f"{len(both)} patients, such as {min(both, default='')}, stand in both lists.")
    roles = set(assign_roles(manifest))
    require(roles >= {"train", "val", "test"}, f"Only {', '.join(sorted(roles))} have images.")


def counts_its_lists(subject: Subject) -> None:
    """'listed' says how many images each official list names, no fewer than are at hand; {} without lists."""
    collection = _read(subject)
    lists = {"train_val", "test"} if collection.manifest["official"].notna().any() else set()
    require(set(collection.listed) == lists, f"It is {collection.listed}.")
    for name, listed in collection.listed.items():
        here = int((collection.manifest["official"] == name).sum())
        require(here <= listed, f"{here} images of {name} are here, {listed} are listed.")


def reads_the_same_again(subject: Subject) -> None:
    """Reading twice gives the same tables, in the same order."""
    first, second = _read(subject), _read(subject)
    for name in ("manifest", "labels", "boxes"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name), obj=name)
    for name in ("name", "task", "label_version", "listed", "notes", "problems"):
        require(getattr(first, name) == getattr(second, name), f"'{name}' differs.")


def gives_grey_pixels(subject: Subject) -> None:
    """An image is a uint8 array [height, width], the same whenever it is asked for, in any order."""
    manifest = _read(subject).manifest
    asked = [manifest.index[i] for i in sorted({0, len(manifest) // 2, len(manifest) - 1})]
    for side in (32, 64):
        first = _pixels(subject, manifest, asked, side)
        again = _pixels(subject, manifest, asked[::-1], side)[::-1]
        for image_id, one, other in zip(asked, first, again, strict=True):
            require(isinstance(one, np.ndarray), f"{image_id} is no array.")
            require(one.dtype == np.uint8, f"{image_id} is {one.dtype}.")
            require(one.ndim == 2 and one.size, f"{image_id} has the shape {one.shape}.")
            require(np.array_equal(one, other), f"{image_id} differs the second time.")


def refuses_content_that_is_no_image(subject: Subject) -> None:
    """Where images have files, content that is none is a DamagedImageError that names the image."""
    manifest = _read(subject).manifest
    dataset: Dataset = subject.make()
    for image_id in manifest.index[manifest["source"] != ""][:1]:
        for content in (b"", b"\x89PNG\r\n\x1a\n", b"no image " * 100):
            try:
                dataset.pixels(content, image_id, 32)
            except DamagedImageError as error:
                require(image_id in str(error), f"'{error}' does not name {image_id}.")
            else:
                require(False, f"{content[:8]!r} … is decoded.")


def decodes_alike_with_any_options(subject: Subject) -> None:
    """Where images have files, a file is decoded alike whatever the options, which share stored images."""
    manifest = _read(subject).manifest
    asked = list(manifest.index[manifest["source"] != ""][:3])
    try:
        usual = Subject(subject.component, {}, subject.root)
        usual.make()
    except UsageError:
        return  # it cannot be made without options
    given, plain = (_pixels(each, manifest, asked, 32) for each in (subject, usual))
    for image_id, one, other in zip(asked, given, plain, strict=True):
        require(np.array_equal(one, other), f"{image_id} is decoded otherwise without options.")


def explains_a_missing_folder(subject: Subject) -> None:
    """A root that is not there is a CxrbenchError, whose sentence names it."""
    if subject.root is None:
        return
    missing = subject.root / "no-such-folder"
    dataset: Dataset = subject.make()
    try:
        dataset.read(missing)
    except CxrbenchError as error:
        require(missing.name in str(error), f"'{error}' does not name it.")
    else:
        require(False, "It is read without an error.")


CHECKS = tuple(
    map(
        Check,
        (
            recommends_settings_that_exist,
            reads_a_manifest,
            reads_labels,
            reads_boxes_inside_the_images,
            keeps_patients_apart,
            counts_its_lists,
            reads_the_same_again,
            gives_grey_pixels,
            refuses_content_that_is_no_image,
            decodes_alike_with_any_options,
            explains_a_missing_folder,
        ),
    )
)


def _read(subject: Subject) -> Collection:
    dataset: Dataset = subject.make()
    collection = dataset.read(subject.root)
    require(isinstance(collection, Collection), f"read() gives {type(collection).__name__}, no Collection.")
    return collection


def _pixels(
    subject: Subject, manifest: pd.DataFrame, image_ids: Sequence[str], side: int
) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    dataset: Dataset = subject.make()
    images = []
    for image_id in image_ids:
        source = str(manifest.at[image_id, "source"])
        require(not source or subject.root is not None, f"{image_id} has a source, but there is no root.")
        content = read_source(subject.root, source) if source and subject.root is not None else None
        images.append(dataset.pixels(content, image_id, side))
    return images
