"""The fourteen findings of NIH ChestX-ray14 and the spellings under which they appear."""

from __future__ import annotations

from collections.abc import Sequence

NIH_FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""In the order of the ChestX-ray14 paper, used for every column order in this project; the first eight are
those of the ChestX-ray8 paper."""

NO_FINDING = "No Finding"
"""The label string of an image without any finding: the all-zero vector; a class of its own
only where a task makes it one."""

_ALIASES = {
    "infiltrate": "Infiltration",
    "infiltrates": "Infiltration",
    "pleural_effusion": "Effusion",
    "pulmonary_edema": "Edema",
    "oedema": "Edema",
    "pulmonary_emphysema": "Emphysema",
    "pulmonary_fibrosis": "Fibrosis",
    "pulmonary_mass": "Mass",
    "hiatal_hernia": "Hernia",
    "hiatus_hernia": "Hernia",
}
"""Spellings that differ by more than case, blanks, hyphens and underscores: of ``BBox_List_2017.csv``,
CheXpert and MIMIC-CXR, VinDr-CXR, PadChest. ``Nodule/Mass`` is no alias: it is either."""

_BY_FOLDED = {finding.casefold(): finding for finding in NIH_FINDINGS} | _ALIASES


def canonical_finding(text: str) -> str | None:
    """The NIH name of a finding as spelled in ``text``, or None where it is none of the fourteen."""
    return _BY_FOLDED.get(text.strip().casefold().replace(" ", "_").replace("-", "_"))


def class_of(text: str, classes: Sequence[str]) -> str | None:
    """The one of these classes that a spelling means, whatever its case, or None."""
    by_folded = {name.casefold(): name for name in classes}
    return by_folded.get(text.casefold()) or by_folded.get((canonical_finding(text) or "").casefold())
