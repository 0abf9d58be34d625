"""Who may read what: the role of each image.

train fits weights · val stops and selects · tune fits calibration and thresholds · test is only ever
evaluated. A split says which image has which role; none depends on a run's seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd

from cxrbench.errors import CxrbenchError
from cxrbench.findings import NO_FINDING

Role = Literal["train", "val", "tune", "test"]
ROLES: tuple[Role, ...] = get_args(Role)
FIT_ROLES: tuple[Role, ...] = ("train", "val", "tune")

Split = Literal["official", "patient", "image"]

_SALT = b"cxrbench-roles-1"
_TRAIN_BELOW, _VAL_BELOW = 0.7, 0.8
"""train / val / tune = 70 / 10 / 20 of the patients of train_val."""

_TEST_SALT = b"cxrbench-test-1"
_IMAGE_SALT = b"cxrbench-image-1"
_TUNE_SALT = b"cxrbench-tune-of-test-1"
_TEST_SHARE, _VAL_SHARE = 0.2, 0.08
"""Of the patients, or of the images, where the official lists do not say what is test."""
_STRATUM_LETTERS = 4
"""Enough to tell the label strings of NIH apart by their first finding, but for the two in ``Pneu``."""


def patient_share(patient_id: str) -> float:
    """The patient's fixed place in 0..1, whatever the data set's size or the run's seed."""
    return _place(_SALT, patient_id)


def role_of(patient_id: str, official: str | None) -> Role:
    """The role of a patient's image, from the official list it stands in (``train_val``, ``test``)."""
    if official == "test":
        return "test"
    share = patient_share(patient_id)
    return "train" if share < _TRAIN_BELOW else "val" if share < _VAL_BELOW else "tune"


def assign_roles(
    manifest: pd.DataFrame, labels: pd.DataFrame | None = None, split: Split = "official"
) -> pd.Series[str]:
    """The role of every image of a manifest, indexed by image id.

    ``official``: the data set's own ``role`` where it gives one; else test is the official test list, and
    the rest is train / val / tune = 70 / 10 / 20 by a hash of the patient. A data set that has neither is
    split by ``patient``: 20% of the patients are test, by another hash, and the rest as before. Under both
    an image's role does not depend on what other images of the data set are used. ``image``: train / val /
    test = 72 / 8 / 20 of the images, stratified on the first letters of their ``labels``; a patient's images
    come into several roles, and there is no tune.
    """
    roles: Sequence[str]
    if split == "image":
        if labels is None:
            raise ValueError("the split by image is stratified by labels")
        roles = _by_image(label_strings(labels).str[:_STRATUM_LETTERS])
    elif split == "patient" or manifest[["role", "official"]].isna().all(axis=None):
        roles = [
            "test" if _place(_TEST_SALT, patient) < _TEST_SHARE else role_of(patient, None)
            for patient in manifest["patient_id"].tolist()
        ]
    else:
        columns = (manifest[name].tolist() for name in ("role", "patient_id", "official"))
        rows = zip(*columns, strict=True)
        roles = [
            own if isinstance(own, str) else role_of(patient, official) for own, patient, official in rows
        ]
    return pd.Series(roles, index=manifest.index, name="role", dtype="str")


def tune_of_test(patients: pd.Series[str]) -> pd.Series[str]:
    """Roles of test images where nothing else is at hand to fit on: half of the patients become tune.

    By a hash of the patient, so that every system on the same images is fitted and tested on the same ones.
    """
    roles = {patient: "tune" if _place(_TUNE_SALT, patient) < 0.5 else "test" for patient in set(patients)}
    return patients.map(roles).rename("role").astype("str")


def label_strings(labels: pd.DataFrame) -> pd.Series[str]:
    """Each image's labels as NIH writes them: ``Atelectasis|Effusion``, alphabetical, or ``No Finding``.

    An unknown label counts as absent.
    """
    columns = sorted(labels.columns)
    rows, which = np.unique(labels[columns].to_numpy() == 1, axis=0, return_inverse=True)
    strings = ["|".join(np.compress(row, columns)) or NO_FINDING for row in rows]
    return pd.Series(np.array(strings, dtype=object)[which.ravel()], index=labels.index, dtype="str")


def _by_image(strata: pd.Series[str]) -> list[str]:
    """Roles by the rank of each image's hash within its stratum; the whole's shares hold to the image."""
    places = pd.Series([_place(_IMAGE_SALT, image_id) for image_id in strata.index], index=strata.index)
    rank = places.groupby(strata).rank(method="first")
    counts = strata.value_counts().sort_index()
    roles = np.full(len(strata), "train", dtype=object)
    for role, share in (("val", _TEST_SHARE + _VAL_SHARE), ("test", _TEST_SHARE)):
        # Rounded over all strata up to its own, a stratum's share is off by less than an image.
        among_first = np.diff(np.rint(share * counts.cumsum()), prepend=0)
        roles[rank <= strata.map(dict(zip(counts.index, among_first, strict=True)))] = role
    return list(roles)


def _place(salt: bytes, text: str) -> float:
    digest = hashlib.blake2b(salt + text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def shared_patients(manifest: pd.DataFrame, roles: pd.Series[str]) -> dict[str, int]:
    """How many patients have images in both roles of each pair, ``{"train/val": 0, ...}``."""
    patients = {role: set(manifest["patient_id"][roles == role].tolist()) for role in ROLES}
    return {f"{a}/{b}": len(patients[a] & patients[b]) for a, b in combinations(ROLES, 2)}


def require_fit_role(role: Role, what: str) -> None:
    """Refuse to fit anything on the test role.

    Raises:
        CxrbenchError: ``role`` is ``test``.
    """
    if role == "test":
        raise CxrbenchError(f"{what} must not be fitted on the test role; fit it on tune (or val).")


def patient_folds(patient_ids: pd.Series[str], folds: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A fold 0..folds-1 for each image, all images of a patient in the same one."""
    return np.array(
        [
            int(hashlib.blake2b(f"fold:{p}".encode(), digest_size=8).hexdigest(), 16) % folds
            for p in patient_ids
        ],
        dtype=np.int64,
    )
