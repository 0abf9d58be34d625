"""What is read of a DICOM header, what is warned of, and that names stay where they are."""

import math

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pydicom is optional")

from radiographs import content, dicom

from cxrbench.predicting.header import read_header

PIXELS = np.zeros((4, 5), np.uint8)


def header(**tags):
    return read_header(content(dicom(PIXELS, **tags)), "x.dcm")


def odd(**tags):
    return [each.name for each in header(**tags).oddities]


def test_an_ordinary_radiograph():
    found = header()
    assert (found.patient_id, found.age, found.sex, found.view) == ("p-17", 58.0, "F", "PA")
    assert found.oddities == ()


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({"Modality": "MR"}, "wrong_modality"),
        ({"Modality": "OT"}, "wrong_modality"),
        ({"BodyPartExamined": "KNEE"}, "wrong_body_part"),
        ({"ViewPosition": "LL"}, "wrong_view"),
        ({"BurnedInAnnotation": "YES"}, "burned_in_annotation"),
        ({"PatientAge": "411Y"}, "odd_age"),
    ],
)
def test_what_is_odd_has_a_name(tags, name):
    assert odd(**tags) == [name]


@pytest.mark.parametrize("tags", [{"Modality": None}, {"BodyPartExamined": None}, {"ViewPosition": None}])
def test_what_is_not_told_is_not_odd(tags):
    assert odd(**tags) == []


@pytest.mark.parametrize(
    ("said", "view"),
    [("AP", "AP"), ("pa", "PA"), ("AP SUPINE", "AP"), ("AP_ERECT", "AP"), ("LATERAL", None), ("RAO", None)],
)
def test_views(said, view):
    assert header(ViewPosition=said).view == view


def test_the_view_by_its_code():
    import pydicom

    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399348003", "SCT", "antero-posterior"
    assert header(ViewPosition=None, ViewCodeSequence=[code]).view == "AP"


@pytest.mark.parametrize(
    ("tags", "age"),
    [
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": None, "PatientBirthDate": "19600229", "StudyDate": "20200229"}, 60.0),
        ({"PatientAge": None, "PatientBirthDate": "19600229"}, math.nan),
        ({"PatientAge": None, "PatientBirthDate": "20210101", "StudyDate": "20200101"}, math.nan),
    ],
)
def test_ages(tags, age):
    assert header(**tags).age == pytest.approx(age, abs=0.01, nan_ok=True)


@pytest.mark.parametrize("patient_id", ["DOE_JANE_1960", "jane.doe", "42-doe"])
def test_an_id_that_holds_the_name_is_withheld(patient_id):
    found = header(PatientID=patient_id)
    assert found.patient_id == ""
    assert [each.name for each in found.oddities] == ["patient_id_withheld"]
    assert "doe" not in repr(found).lower()


def test_a_short_name_is_found_as_a_word_alone():
    assert header(PatientName="Li^Bo", PatientID="LI-7").patient_id == ""
    assert header(PatientName="Li^Bo", PatientID="client-7").patient_id == "client-7"


def test_what_an_anonymised_file_has_in_place_of_a_name_withholds_nothing():
    assert header(PatientName="0017", PatientID="0017").patient_id == "0017"


def test_a_name_in_another_tag_does_not_come_out():
    found = header(BodyPartExamined="DOE JANE")
    assert "doe" not in repr(found).lower()
    assert [each.name for each in found.oddities] == ["wrong_body_part"]
