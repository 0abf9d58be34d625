"""What a DICOM file says of its patient, and what is odd about it; the patient's name stays where it is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from cxrbench.datasets.tables import OLDEST_AGE, years
from cxrbench.dicom import read_dicom, reading

Sex = Literal["M", "F"]
View = Literal["PA", "AP"]

_MODALITIES = ("CR", "DX", "DR", "RG")
"""Of radiographs (DICOM PS3.3 C.7.3.1.1.1); DR is none of the standard's terms, and much used."""

_BODY_PARTS = ("CHEST", "THORAX", "LUNG")

_VIEWS: Mapping[str, View] = {
    "PA": "PA",
    "POSTEROANTERIOR": "PA",
    "AP": "AP",
    "ANTEROPOSTERIOR": "AP",
}

_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ResponsiblePerson",
)

_TAGS = (
    *("PatientID", "PatientAge", "PatientSex", "PatientBirthDate", "StudyDate", "AcquisitionDate"),
    *("Modality", "BodyPartExamined", "ViewPosition", "ViewCodeSequence", "BurnedInAnnotation"),
    *_NAMES,
)


@dataclass(frozen=True)
class Oddity:
    """What is odd about a file whose image can be read.

    Attributes:
        name: such as ``wrong_modality``.
        what: one clause.
    """

    name: str
    what: str


@dataclass(frozen=True)
class Header:
    """What a DICOM file says, where it says it.

    Attributes:
        patient_id: empty where there is none, or where it is withheld since it holds the patient's name.
        age: in years; NaN where unknown.
        sex: of the patient.
        view: None where unknown, or neither PA nor AP.
        oddities: what the user is warned of.
    """

    patient_id: str = ""
    age: float = math.nan
    sex: Sex | None = None
    view: View | None = None
    oddities: tuple[Oddity, ...] = ()
    _names: tuple[str, ...] = field(default=(), repr=False)

    def names(self, text: str) -> bool:
        """Whether a text holds a part of the patient's name."""
        folded = text.casefold()
        words = set(_words(folded))
        # Short parts are in many words.
        return any(name in words or (len(name) > 2 and name in folded) for name in self._names)

    def without_names(self, text: str) -> str:
        """The text, or a stand-in for one that holds a part of the patient's name."""
        return "details withheld: they hold the patient's name" if self.names(text) else text


def read_header(content: bytes, name: str) -> Header:
    """The header of a DICOM file; pixels are not decoded.

    Raises:
        CxrbenchError: pydicom is not installed.
        DamagedImageError: the file is damaged.
    """
    # Nothing says yet which of the file's texts are names.
    with reading(name, detail=False):
        return _header(read_dicom(content, _TAGS))


def _header(file: Any) -> Header:
    odd: list[Oddity] = []
    # Numbers alone are what an anonymised file has in the name's place.
    names = {word for tag in _NAMES for word in _words(str(file.get(tag) or "").casefold())}
    bare = Header(_names=tuple(sorted(word for word in names if len(word) > 1 and not word.isdigit())))
    modality, part = _text(file, "Modality"), _text(file, "BodyPartExamined")
    if modality and modality not in _MODALITIES:
        odd.append(Oddity("wrong_modality", f"modality {_short(modality)} is no radiograph's"))
    if part and not any(known in part for known in _BODY_PARTS):
        odd.append(Oddity("wrong_body_part", f"body part {_short(part)} is not the chest"))
    view, said = _view(file)
    if said and view is None:
        odd.append(Oddity("wrong_view", f"view {_short(said)} is neither PA nor AP"))
    if _text(file, "BurnedInAnnotation") == "YES":
        odd.append(Oddity("burned_in_annotation", "text is burned into the image, perhaps a name"))
    age = _age(file)
    if math.isnan(age) and _text(file, "PatientAge"):
        odd.append(Oddity("odd_age", "the age is no age of a person"))
    sex = _text(file, "PatientSex")
    patient_id = str(file.get("PatientID") or "").strip()
    if bare.names(patient_id):
        patient_id = ""
        odd.append(Oddity("patient_id_withheld", "the patient's id holds the patient's name"))
    kept = tuple(Oddity(each.name, bare.without_names(each.what)) for each in odd)
    known: Sex | None = "M" if sex == "M" else "F" if sex == "F" else None
    return Header(patient_id, age, known, view, kept, bare._names)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text) if word]


def _text(file: Any, tag: str) -> str:
    return str(file.get(tag) or "").strip().upper()


def _short(text: str) -> str:
    return " ".join(text.split())[:32]


def _view(file: Any) -> tuple[View | None, str]:
    """The view, and the text that it is told by."""
    said = _text(file, "ViewPosition")
    if not said and (codes := file.get("ViewCodeSequence")):
        said = _text(codes[0], "CodeMeaning")
    # The projection may be followed by how the patient was placed.
    first = re.split(r"[\s,]+", said)[0]
    words = [re.sub(r"[^A-Z]", "", first), *re.split(r"[^A-Z]+", first)[:1]]
    return next((_VIEWS[word] for word in words if word in _VIEWS), None), said


def _age(file: Any) -> float:
    """The age that is told, else that from the dates of birth and study."""
    if told := _text(file, "PatientAge"):
        return years(told)
    born, seen = (_date(file, *tags) for tags in (("PatientBirthDate",), ("StudyDate", "AcquisitionDate")))
    if born is None or seen is None:
        return math.nan
    age = (seen - born).days / 365.25
    return age if 0 <= age <= OLDEST_AGE else math.nan


def _date(file: Any, *tags: str) -> date | None:
    for tag in tags:
        digits = re.sub(r"[.-]", "", _text(file, tag))
        if re.fullmatch(r"\d{8}", digits):
            try:
                return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
            except ValueError:
                continue
    return None
