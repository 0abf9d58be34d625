"""Where age, sex and view come from, and which files are meant."""

import math

import numpy as np
import pytest
from radiographs import content, dicom

from cxrbench.data import patient_vectors
from cxrbench.errors import UsageError
from cxrbench.predicting.files import image_files
from cxrbench.predicting.header import Header
from cxrbench.predicting.patients import Facts, Patients, patients_table


def test_the_table_goes_before_dicom_and_what_is_given_for_all_comes_last(tmp_path):
    path = tmp_path / "a.dcm"
    patients = Patients(Facts(40.0, "M", "AP"), {path.resolve(): Facts(age=30.0)})
    assert patients.of(path, Header(age=20.0, sex="F")) == Facts(30.0, "F", "AP")
    assert patients.of(tmp_path / "b.png", None) == Facts(40.0, "M", "AP")


def test_what_is_unknown_is_named():
    assert Facts(view="PA").unknown == ("age", "sex")
    assert Facts(0.0, "M", "PA").unknown == ()


def test_a_table_beside_images(tmp_path):
    files = [tmp_path / "a" / "1.png", tmp_path / "b" / "2.png", tmp_path / "b" / "1.png"]
    table = tmp_path / "patients.csv"
    table.write_text(
        "Image,Patient Age,Gender,view\na/1.png,058Y,female,ap\n2.png,,M,lateral\nx.png,1,M,PA\n"
    )
    found, strangers = patients_table(table, files)
    assert strangers == 1
    assert found[files[0].resolve()] == Facts(58.0, "F", "AP")
    second = found[files[1].resolve()]
    assert (second.sex, second.view) == ("M", None)
    assert math.isnan(second.age)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age\n5\n", "needs a column 'image'"),
        ("image\na.png\n", "one of 'age'"),
        ("image,age\na.png,5\na.png,6\n", "more than once"),
        ("image,age\nz.png,5\n", "None of the 1 rows"),
        # Two files have this name.
        ("image,age\nb.png,5\n", "None of the 1 rows"),
    ],
)
def test_a_table_that_cannot_be_meant(tmp_path, text, said):
    table = tmp_path / "patients.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=said):
        patients_table(table, [tmp_path / "a.png", tmp_path / "1" / "b.png", tmp_path / "2" / "b.png"])


def test_files_and_folders(tmp_path):
    """Folders with all below, by suffix or DICOM's mark; what is named is meant whatever it is called."""
    deep = tmp_path / "scans" / "deep"
    deep.mkdir(parents=True)
    written = content(dicom(np.zeros((4, 5), np.uint8)))
    for name in ("b.PNG", "a.jpeg", "notes.txt", "deep/c.dcm"):
        (tmp_path / "scans" / name).write_bytes(b"")
    for name in ("deep/1.2.840.5", "deep/IM0001", "deep/DICOMDIR"):
        (tmp_path / "scans" / name).write_bytes(written)
    (tmp_path / "odd.name").write_bytes(b"")
    found, others = image_files([tmp_path / "odd.name", tmp_path / "scans", deep / "c.dcm"])
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    below = [f"scans/{name}" for name in ("a.jpeg", "b.PNG", "deep/1.2.840.5", "deep/IM0001", "deep/c.dcm")]
    assert names == ["odd.name", *below]
    assert others == 2


def test_vectors_are_those_of_training():
    import pandas as pd

    table = pd.DataFrame(
        {"age": [50.0, math.nan], "sex": pd.Series(["F", None], dtype=object), "view": ["AP", None]}
    )
    assert patient_vectors(table).tolist() == [[0.5, 1.0, 1.0], [0.5, 0.5, 0.5]]
