"""Who may read what: the role of each image.

train fits weights · val stops and selects · tune fits calibration and thresholds · test is only ever
evaluated. Roles follow from the official list and the patient's id alone, so every part of a data set
keeps its roles.
"""

from __future__ import annotations

import hashlib
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd

from cxrbench.errors import CxrbenchError

Role = Literal["train", "val", "tune", "test"]
ROLES: tuple[Role, ...] = get_args(Role)

_SALT = b"cxrbench-roles-1"
_TRAIN_BELOW, _VAL_BELOW = 0.7, 0.8
"""train / val / tune = 70 / 10 / 20 of the patients of train_val."""


def patient_share(patient_id: str) -> float:
    """The patient's fixed place in 0..1, whatever the data set's size or the run's seed."""
    digest = hashlib.blake2b(_SALT + patient_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def role_of(patient_id: str, official: str | None) -> Role:
    """The role of a patient's image, from the official list it stands in (``train_val``, ``test``)."""
    if official == "test":
        return "test"
    share = patient_share(patient_id)
    return "train" if share < _TRAIN_BELOW else "val" if share < _VAL_BELOW else "tune"


def assign_roles(manifest: pd.DataFrame) -> pd.Series[str]:
    """The role of every image of a manifest, indexed by image id."""
    roles = [
        role_of(patient, official)
        for patient, official in zip(manifest["patient_id"], manifest["official"], strict=True)
    ]
    return pd.Series(roles, index=manifest.index, name="role", dtype="str")


def shared_patients(manifest: pd.DataFrame, roles: pd.Series[str]) -> dict[str, int]:
    """How many patients have images in both roles of each pair, ``{"train/val": 0, ...}``."""
    patients = {role: set(manifest["patient_id"][roles == role]) for role in ROLES}
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
