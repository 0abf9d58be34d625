"""Tables of the user's own, with every odd column that they come with."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbench.datasets.manifest_csv import ManifestCsv
from cxrbench.errors import CxrbenchError, UsageError
from cxrbench.selection import Selection
from cxrbench.sources import read_source

HEADER = "path,subject,sex,years,view,Pleural Effusion,Fracture,split,site"
ROWS = (
    "a/1.png,p1,Female,40,PA,1,0,train,x",
    "a/2.png,p1,Female,41,Lateral,0,-1,train,x",
    "b/3.png,p2,Male,,AP,,1.0,validate,y",
    "b/4.png,p3,?,900,AP,0.0,-1.0,test,y",
)
CONFIG = """
name = "Ours"
table = "ours.csv"
[columns]
image = "path"
patient = "subject"
age = "years"
role = "split"
[findings]
"pleural effusion" = "Pleural Effusion"
Fracture = "Fracture"
[values.role]
validate = "val"
"""


def write(root, rows=ROWS, header=HEADER, config=CONFIG):
    (root / "ours.csv").write_text("\n".join((header, *rows)) + "\n")
    (root / "ours.toml").write_text(config)
    return root


@pytest.fixture
def root(tmp_path):
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((3, 4), int(name[2]), dtype=np.uint8)).save(tmp_path / name)
    return write(tmp_path)


def read(root, **options):
    return ManifestCsv(**{"config": "ours.toml", **options}).read(root)


def bare(root, header, *rows, **options):
    """A table without a TOML file."""
    (root / "bare.csv").write_text("\n".join((header, *rows)) + "\n")
    return ManifestCsv(table="bare.csv", **options).read(root)


def values(labels):
    return labels.astype(object).where(labels.notna(), None).to_numpy().tolist()


def test_a_mapped_table(root):
    made = read(root)
    expected = pd.DataFrame(
        {
            "patient_id": ["p1", "p1", "p2", "p3"],
            "age": [40.0, 41.0, np.nan, np.nan],
            "official": ["train_val"] * 3 + ["test"],
            "role": ["train", "train", "val", "test"],
            "source": ["a/1.png", "a/2.png", "b/3.png", "b/4.png"],
        },
        index=pd.Index(["a/1.png", "a/2.png", "b/3.png", "b/4.png"], name="image_id"),
    )
    told = made.manifest.drop(columns=["sex", "view"])
    pd.testing.assert_frame_equal(told, expected, check_dtype=False)
    assert list(made.manifest["sex"]) == ["F", "F", "M", None]
    assert list(made.manifest["view"]) == ["PA", None, "AP", "AP"]
    assert made.name == "Ours"
    assert made.task.kind == "multilabel"
    assert made.task.classes == ("Effusion", "Fracture")
    assert values(made.labels) == [[1, 0], [0, None], [None, 1], [0, None]]
    assert (made.labels.dtypes == np.float32).all()
    assert made.listed == {"train_val": 3, "test": 1}
    version = hashlib.sha256((root / "ours.csv").read_bytes()).hexdigest()[:12]
    assert made.label_version == f"ours.csv {version}"
    assert [(p.kind, p.examples, p.serious) for p in made.problems] == [
        ("implausible_age", ("b/4.png",), False)
    ]


def test_images_are_decoded(root):
    for number, source in enumerate(read(root).manifest["source"], 1):
        assert (ManifestCsv(table="x").pixels(read_source(root, source), source, 64) == number).all()


@pytest.mark.parametrize(("uncertain", "value"), [("mask", None), ("zero", 0), ("one", 1)])
@pytest.mark.parametrize("where", ["option", "toml"])
def test_uncertain_labels(root, uncertain, value, where):
    if where == "toml":
        write(root, config=f'uncertain = "{uncertain}"\n{CONFIG}')
        made = read(root)
    else:
        made = read(root, uncertain=uncertain)
    assert values(made.labels) == [[1, 0], [0, value], [None, 1], [0, value]]


def test_the_option_overrides_the_toml(root):
    write(root, config=f'uncertain = "zero"\n{CONFIG}')
    assert values(read(root, uncertain="one").labels)[1] == [0, 1]


def test_a_table_with_usual_names_needs_no_toml(root):
    made = bare(
        root,
        "Image Index,Patient ID,Patient Gender,Patient Age,View Position,split,Mass,Edema,weight,note",
        "a/1.png,1,M,050Y,PA,train_val,1,0,71,",
        "b/3.png,2,F,009M,AP,test,0,,80,",
    )
    assert made.name == "bare"
    assert made.task.classes == ("Mass", "Edema")
    assert list(made.manifest["age"]) == [50, 0.75]
    assert list(made.manifest["sex"]) == ["M", "F"]
    assert list(made.manifest["official"]) == ["train_val", "test"]
    assert made.manifest["role"].isna().all()
    assert "Columns taken as findings: Mass, Edema." in made.notes


def test_a_table_of_images_and_labels_alone(root):
    made = bare(root, "path,Mass", "a/1.png,1", "b/3.png,0")
    assert list(made.manifest["patient_id"]) == ["a/1.png", "b/3.png"]
    assert made.manifest[["age", "sex", "view", "official", "role"]].isna().all(axis=None)
    assert made.listed == {}
    assert "There is no column of patients: every image counts as a patient of its own." in made.notes


def test_train_and_test_alone_are_official_lists(root):
    made = bare(root, "path,split,Mass", "a/1.png,train,1", "b/3.png,TEST,0", "b/4.png,,0")
    assert list(made.manifest["official"]) == ["train_val", "test"]
    assert made.manifest["role"].isna().all()


def test_rows_without_a_role_are_left_out_and_said_where_others_have_one(root):
    """Else roles drawn for them would take patients of test into train, and make a tune of a few images."""
    rows = ("a/1.png,p1,test,1", "a/2.png,p1,,0", "b/3.png,p2,train,1", "b/4.png,p3,val,0")
    made = bare(root, "path,patient,split,Mass", *rows)
    assert dict(Selection().of(made).roles) == {"a/1.png": "test", "b/3.png": "train", "b/4.png": "val"}
    assert "Rows without a role: 1; they are left out." in made.notes
    blank = bare(root, "path,patient,split,Mass", *(f"{n},{n},,1" for n in ("a/1.png", "a/2.png")))
    assert len(blank.manifest) == 2
    assert blank.manifest[["role", "official"]].isna().all(axis=None)


def test_all_four_roles(root):
    rows = (
        f"{name},{role},1"
        for name, role in zip(
            ("a/1.png", "a/2.png", "b/3.png", "b/4.png"), ("train", "val", "tune", "test"), strict=True
        )
    )
    made = bare(root, "path,split,Mass", *rows)
    assert list(made.manifest["role"]) == ["train", "val", "tune", "test"]


def test_findings_in_one_column(root):
    made = bare(
        root,
        "path,findings",
        "a/1.png,Infiltrate| mass ",
        "a/2.png,No Finding",
        "b/3.png,",
        "b/4.png,Edema",
    )
    assert made.task.classes == ("Edema", "Infiltration", "Mass")
    assert values(made.labels) == [[0, 1, 1], [0, 0, 0], [None] * 3, [1, 0, 0]]


def test_free_text_is_no_findings_unless_told(root):
    rows = ("a/1.png,Mass seen; stable,1", "a/2.png,nothing new,0")
    for header in ("path,findings,tumour", "path,Labels,tumour"):
        with pytest.raises(
            UsageError, match=r"no known finding; name in a TOML .*columns\.labels.*\(findings\)"
        ):
            bare(root, header, *rows)
        mapped = 'table = "ours.csv"\n[findings]\nMass = "tumour"'
        assert values(read(write(root, rows, header, mapped)).labels) == [[1], [0]]
    # Columns of known findings come before it.
    assert values(bare(root, "path,findings,Mass", *rows).labels) == [[1], [0]]
    told = 'table = "ours.csv"\n[columns]\nlabels = "findings"'
    assert read(write(root, rows, "path,findings,x", told)).task.classes == (
        "Mass seen; stable",
        "nothing new",
    )


def test_a_mapped_text_that_is_in_no_row_is_refused(root):
    config = 'table = "ours.csv"\n[columns]\nlabels = "findings"\n[findings]\nMass = "Tumor"'
    with pytest.raises(
        UsageError, match=r"'Tumor' in no row of the column 'findings', .*; correct it under findings"
    ):
        read(write(root, ("a/1.png,Tumour", "a/2.png,No Finding"), "path,findings", config))


def test_findings_in_one_column_by_a_map_and_a_separator(root):
    config = """
    table = "ours.csv"
    separator = ";"
    folder = "a"
    suffix = ".png"
    label_version = "second reading"
    [columns]
    image = "file"
    labels = "found"
    [findings]
    Effusion = "fluid"
    """
    made = read(write(root, ("1,fluid;mass", "2,mass"), "file,found", config))
    assert made.task.classes == ("Effusion",)
    assert values(made.labels) == [[1], [0]]
    assert list(made.manifest["source"]) == ["a/1.png", "a/2.png"]
    assert made.label_version == "second reading"


def test_values_that_need_a_map(root):
    config = """
    table = "ours.csv"
    [values]
    sex = { weiblich = "F" }
    view = { "P.A." = "PA" }
    label = { yes = "1", no = "0", maybe = "-1", unread = "" }
    [findings]
    Mass = "tumour"
    """
    rows = ("a/1.png,weiblich,p.a.,yes", "a/2.png,M,AP,No", "b/3.png,,,maybe", "b/4.png,,,unread")
    made = read(write(root, rows, "path,sex,view,tumour", config), uncertain="one")
    assert values(made.labels) == [[1], [0], [1], [None]]
    assert list(made.manifest["sex"]) == ["F", "M", None, None]
    assert list(made.manifest["view"]) == ["PA", "AP", None, None]


def test_a_single_label_task(root):
    rows = ("a/1.png,Normal", "a/2.png,No Finding", "b/3.png,Pneumonia", "b/4.png,")
    config = 'table = "ours.csv"\ntask = "singlelabel"\n[columns]\nlabels = "labels"'
    made = read(write(root, rows, "path,labels", config))
    assert made.task.kind == "singlelabel"
    assert made.task.classes == ("No Finding", "Normal", "Pneumonia")
    assert values(made.labels) == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [None] * 3]
    with pytest.raises(CxrbenchError, match="has 2 classes in row 2; a single-label task has exactly one"):
        read(write(root, ("a/1.png,Normal|Pneumonia",), "path,labels", config))


def test_images_that_are_absent_are_left_out_and_said(root):
    made = bare(root, "path,Mass,Edema", "a/1.png,1,", "gone/9.png,0,1")
    assert list(made.manifest.index) == ["a/1.png"]
    # A class of images that are not here stays a class.
    assert made.task.classes == ("Mass", "Edema")
    assert "1 of the 2 rows' images are here." in made.notes


def test_rows_that_repeat(root):
    made = read(write(root, (*ROWS, ROWS[0], ROWS[1].replace("0,-1", "1,-1"))))
    assert {p.kind: (p.examples, p.serious) for p in made.problems if p.kind != "implausible_age"} == {
        "duplicate_rows": (("a/1.png",), False),
        "label_conflict": (("a/2.png",), True),
    }
    assert len(made.manifest) == 4
    assert values(made.labels)[1] == [None, None]
    with pytest.raises(CxrbenchError, match=r"label_conflict \(1, such as a/2\.png\)"):
        made.require_sound()


def test_rows_without_image_or_patient_are_left_out(root):
    made = read(write(root, (*ROWS[:2], ",p9,M,1,PA,1,1,train,x", "b/3.png,,M,1,PA,1,1,train,x", ROWS[3])))
    assert list(made.manifest.index) == ["a/1.png", "a/2.png", "b/4.png"]
    assert ("incomplete_rows", ("b/3.png", "row 4")) in [(p.kind, p.examples) for p in made.problems]


def test_paths_are_written_in_one_way(root):
    made = bare(root, "path,Mass", "./a//1.png,1", r"a\2.png,0")
    assert list(made.manifest["source"]) == ["a/1.png", "a/2.png"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"config": CONFIG.replace('"subject"', '"subjct"')}, "no column 'subjct'; did you mean subject"),
        ({"config": CONFIG.replace('= "Fracture"', '= "fractures"')}, "'fractures'; did you mean Fracture"),
        ({"config": CONFIG.replace('"years"', '"qqq"')}, "no column 'qqq'; there are path, subject, sex"),
        (
            {"config": CONFIG.replace("patient =", "patent =")},
            r"unknown key 'columns\.patent'; did you mean patient",
        ),
        ({"config": "tabel = 'x'\n"}, "unknown key 'tabel'; did you mean table"),
        ({"config": CONFIG.replace('"val"', '"dev"')}, r"wrong value of 'values\.role\.validate'"),
        ({"config": "table = "}, "is not TOML"),
        ({"config": "name = 'x'"}, "names no table"),
        ({"config": CONFIG.replace("ours.csv", "other.csv")}, r"no table .*other\.csv"),
        (
            {"config": CONFIG.replace("[values.role]\n", "[values.sex]\n").replace('"val"', '"M"')},
            "role 'validate'",
        ),
        (
            {"config": CONFIG + "[values.label]\n", "rows": (ROWS[0].replace("1,0", "1,high"),)},
            "'high' in the column",
        ),
        ({"config": CONFIG.replace("Fracture =", "Effusion =")}, "are both Effusion"),
        ({"rows": ("x.png,p1,F,1,PA,1,0,train,x",)}, "None of the 1 images"),
        ({"rows": ("../x.png,p1,F,1,PA,1,0,train,x",)}, "below --data-root"),
        ({"rows": ("/x.png,p1,F,1,PA,1,0,train,x",)}, "below --data-root"),
        (
            {"rows": ("a/1.png,p1,F,1,PA,1,0,train,x", "a/2.png,p1,F,1,PA,1,0,train_val,x")},
            "train_val besides train",
        ),
        ({"header": HEADER.replace("path", "bild"), "config": "table = 'ours.csv'"}, "no column of images"),
    ],
)
def test_what_is_wrong_is_one_sentence(root, change, sentence):
    write(root, **change)
    with pytest.raises(CxrbenchError, match=sentence) as refusal:
        read(root)
    assert "\n" not in str(refusal.value)


def test_a_table_without_findings_is_refused(root):
    with pytest.raises(UsageError, match="no column of findings; name them in the TOML"):
        bare(root, "path,age", "a/1.png,40")


def test_what_is_not_given_is_asked_for(tmp_path):
    with pytest.raises(UsageError, match=r"needs csv:config=FILE\.toml or csv:table=FILE\.csv"):
        ManifestCsv().read(tmp_path)
    with pytest.raises(UsageError, match="needs --data-root DIR"):
        ManifestCsv(table="x.csv").read(None)
    with pytest.raises(UsageError, match="There is no folder"):
        ManifestCsv(table="x.csv").read(tmp_path / "gone")
    with pytest.raises(UsageError, match=r"gone\.toml cannot be read"):
        ManifestCsv(config="gone.toml").read(tmp_path)


def test_the_toml_may_lie_elsewhere_with_its_table(root, tmp_path_factory, monkeypatch):
    desk = tmp_path_factory.mktemp("desk")
    for name in ("ours.csv", "ours.toml"):
        (root / name).rename(desk / name)
    expected = read(root, config=str(desk / "ours.toml"))
    monkeypatch.chdir(desk)
    pd.testing.assert_frame_equal(read(root).manifest, expected.manifest)


LABELS = st.lists(st.sampled_from(["Mass", "nodule", "Oedema", "Pleural effusion"]), max_size=4)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LABELS, min_size=4, max_size=4).filter(any))
def test_strings_and_columns_tell_the_same(root, told):
    """The same labels as one column of strings and as one column a finding."""
    names = ("a/1.png", "a/2.png", "b/3.png", "b/4.png")
    strings = bare(
        root, "path,labels", *(f"{n},{'|'.join(t) or 'No Finding'}" for n, t in zip(names, told, strict=True))
    )
    found = sorted({text for texts in told for text in texts})
    columns = bare(
        root,
        f"path,{','.join(found)}",
        *(",".join([n, *(str(int(f in t)) for f in found)]) for n, t in zip(names, told, strict=True)),
    )
    assert set(strings.task.classes) == set(columns.task.classes)
    pd.testing.assert_frame_equal(strings.labels[list(columns.task.classes)], columns.labels)
