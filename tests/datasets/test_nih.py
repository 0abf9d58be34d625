from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxrbench.collection import Collection, Oddities
from cxrbench.datasets.nih import Nih
from cxrbench.datasets.nih.lists import labelled_lists
from cxrbench.errors import CxrbenchError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.roles import assign_roles, shared_patients
from cxrbench.sources import read_source

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
ROWS = (
    "00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.143,0.143",
    "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,AP,2894,2729,0.143,0.143",
    "00000002_000.png,No Finding,0,2,80,F,PA,2500,2048,0.171,0.171",
    "00000003_000.png,Hernia|Pleural_Thickening|Atelectasis,0,3,74,F,PA,2500,2048,0.168,0.168",
)
BOX_HEADER = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
BOXES = (
    "00000003_000.png,Infiltrate,512,256.0,102.4,1024",
    "00000009_000.png,Mass,1,2,3,4",
    "00000003_000.png,Atelectasis,0,0,1024,512",
)
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def subset_root() -> Path:
    """The real data; skips where they are absent."""
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    if not (data / "nih_subset").is_dir():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    return data / "nih_subset"


def write_png(path: Path, pixels: np.ndarray = GREY) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def pixels_of(root: Path, source: str) -> np.ndarray:
    return Nih().pixels(read_source(root, source), source, 64)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small download in the newer layout: four listed images, all at hand."""
    write_table(tmp_path, ROWS)
    (tmp_path / "BBox_List_2017.csv").write_text("\n".join((BOX_HEADER, *BOXES)) + "\n")
    (tmp_path / "train_val_list.txt").write_text("00000001_000.png\n00000001_001.png\n00000002_000.png\n")
    (tmp_path / "test_list.txt").write_text("00000003_000.png")
    for row in ROWS:
        write_png(tmp_path / "images" / row.partition(",")[0])
    return tmp_path


def write_table(root: Path, rows: tuple[str, ...], header: str = HEADER) -> None:
    (root / "Data_Entry_2017_v2020.csv").write_text("\n".join((header, *rows)) + "\n")


def findings_of(collection: Collection, image_id: str) -> set[str]:
    row = collection.labels.loc[image_id]
    return set(row.index[row == 1])


def test_reads_the_tables(root: Path) -> None:
    collection = Nih().read(root)
    assert collection.name == "NIH ChestX-ray14"
    assert collection.task.kind == "multilabel"
    assert collection.task.classes == NIH_FINDINGS
    assert collection.listed == {"train_val": 3, "test": 1}
    assert collection.notes == ()
    expected = pd.DataFrame(
        {
            "patient_id": ["1", "1", "2", "3"],
            "age": [57.0, 58.0, 80.0, 74.0],
            "sex": ["M", "M", "F", "F"],
            "view": ["PA", "AP", "PA", "PA"],
            "official": ["train_val"] * 3 + ["test"],
            "role": None,
            "source": [f"images/{row.partition(',')[0]}" for row in ROWS],
        },
        index=pd.Index([row.partition(",")[0] for row in ROWS], name="image_id"),
    )
    pd.testing.assert_frame_equal(collection.manifest, expected, check_dtype=False)
    assert collection.manifest["age"].dtype == np.float64


def test_labels_are_the_label_strings(root: Path) -> None:
    collection = Nih().read(root)
    assert findings_of(collection, "00000001_000.png") == {"Cardiomegaly"}
    assert findings_of(collection, "00000001_001.png") == {"Cardiomegaly", "Emphysema"}
    assert findings_of(collection, "00000002_000.png") == set()
    assert findings_of(collection, "00000003_000.png") == {"Hernia", "Pleural_Thickening", "Atelectasis"}
    assert (collection.labels.dtypes == np.float32).all()
    assert collection.labels.isin([0, 1]).all(axis=None)


def test_boxes_are_shares_of_the_side_of_the_images_at_hand(root: Path) -> None:
    boxes = Nih().read(root).boxes
    assert boxes.to_dict("list") == {
        "image_id": ["00000003_000.png"] * 2,
        "finding": ["Infiltration", "Atelectasis"],
        "x": [0.5, 0.0],
        "y": [0.25, 0.0],
        "width": [0.1, 1.0],
        "height": [1.0, 0.5],
    }


def test_boxes_are_optional(root: Path) -> None:
    (root / "BBox_List_2017.csv").unlink()
    assert Nih().read(root).boxes.empty


def test_half_a_download_says_how_much_is_here(root: Path) -> None:
    (root / "images/00000001_001.png").unlink()
    (root / "images/00000003_000.png").unlink()
    write_png(root / "images/00000077_000.png")
    collection = Nih().read(root)
    assert list(collection.manifest.index) == ["00000001_000.png", "00000002_000.png"]
    assert collection.listed == {"train_val": 3, "test": 1}
    assert collection.boxes.empty
    assert collection.notes == (
        "2 of the 4 listed images are here.",
        "Images in no list: 1; they are left out.",
    )


def test_the_twelve_parts_are_one_data_set(root: Path) -> None:
    for part, row in zip(("001", "007", "012"), ROWS, strict=False):
        image_id = row.partition(",")[0]
        (root / f"images_{part}/images").mkdir(parents=True)
        (root / "images" / image_id).rename(root / f"images_{part}/images" / image_id)
    manifest = Nih().read(root).manifest
    assert list(manifest["source"]) == [
        "images_001/images/00000001_000.png",
        "images_007/images/00000001_001.png",
        "images_012/images/00000002_000.png",
        "images/00000003_000.png",
    ]
    for source in manifest["source"]:
        assert np.array_equal(pixels_of(root, source), GREY)


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("58", 58),
        ("058Y", 58),
        ("006M", 0.5),
        ("000D", 0),
        ("120", 120),
        ("411", None),
        ("", None),
        ("old", None),
    ],
)
def test_ages(root: Path, text: str, years: float | None) -> None:
    write_table(root, (ROWS[0].replace(",57,", f",{text},"), *ROWS[1:]))
    collection = Nih().read(root)
    age = collection.manifest["age"].iloc[0]
    if years is None:
        assert np.isnan(age)
        assert collection.notes == ("Images without an age up to 120 years: 1; it counts as unknown.",)
    else:
        assert age == years
        assert collection.notes == ()


def test_unknown_sex_and_view_are_none(root: Path) -> None:
    write_table(root, (ROWS[0].replace(",M,PA,", ",O,LL,"), ROWS[1].replace(",M,AP,", ",,,"), *ROWS[2:]))
    manifest = Nih().read(root).manifest
    assert list(manifest["sex"]) == [None, None, "F", "F"]
    assert list(manifest["view"]) == [None, None, "PA", "PA"]


def test_the_sex_has_two_column_names(root: Path) -> None:
    expected = Nih().read(root).manifest
    write_table(root, ROWS, HEADER.replace("Patient Gender", "Patient Sex"))
    pd.testing.assert_frame_equal(Nih().read(root).manifest, expected)


def test_the_label_version_changes_with_the_table(root: Path) -> None:
    first = Nih().read(root).label_version
    assert first == Nih().read(root).label_version
    assert first.startswith("Data_Entry_2017_v2020.csv ")
    write_table(root, (ROWS[0].replace("Cardiomegaly", "Mass"), *ROWS[1:]))
    assert Nih().read(root).label_version != first


def test_an_image_without_a_row_is_left_out_and_said(root: Path) -> None:
    write_table(root, ROWS[1:])
    collection = Nih().read(root)
    assert len(collection.manifest) == 3
    assert collection.notes[-1] == "Listed images without a row in the label table: 1; they are left out."


def remove(name: str):
    return lambda root: (root / name).unlink()


def append(name: str, text: str):
    return lambda root: (root / name).write_text((root / name).read_text() + text)


def empty_images(root: Path) -> None:
    for path in (root / "images").iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove("train_val_list.txt"), r"train_val_list\.txt is missing in .*download it"),
        (remove("test_list.txt"), r"test_list\.txt is missing in"),
        (
            remove("Data_Entry_2017_v2020.csv"),
            r"Data_Entry_2017\*\.csv is missing in .*images_001/ to images_012/",
        ),
        (lambda r: (r / "Data_Entry_2017.csv").write_text("x"), r"whose labels differ; leave only one"),
        (empty_images, r"None of the images that the lists in .* name is there; .*images/"),
        (append("test_list.txt", "\n00000002_000.png"), r"00000002_000\.png, stand in both"),
        (append("test_list.txt", "\n00000003_000.png"), r"test_list\.txt names some images twice"),
        (lambda r: write_table(r, ROWS, HEADER.replace("Patient ID", "ID")), r"has no column 'Patient ID'"),
        (
            lambda r: write_table(r, ROWS, HEADER.replace("Patient Gender", "G")),
            r"no column 'Patient Gender'",
        ),
        (lambda r: (r / "Data_Entry_2017_v2020.csv").write_bytes(b""), r"cannot be read as a table"),
        (
            lambda r: (r / "Data_Entry_2017_v2020.csv").write_bytes(b"\xff\xfe\x00"),
            r"cannot be read as a table",
        ),
        (append("BBox_List_2017.csv", "00000003_000.png,Tumour,1,2,3,4\n"), r"box of 'Tumour'"),
        (
            append("BBox_List_2017.csv", "00000003_000.png,Mass,left,2,3,4\n"),
            r"cannot be read as a table of boxes",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(root: Path, damage, sentence: str) -> None:
    damage(root)
    with pytest.raises(CxrbenchError, match=sentence) as refusal:
        Nih().read(root)
    assert "\n" not in str(refusal.value)


def test_no_folder_or_a_wrong_one_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CxrbenchError, match=r"nih needs --data-root DIR; .*Data_Entry_2017.*test_list.txt"):
        Nih().read(None)
    with pytest.raises(CxrbenchError, match=r"There is no folder .*nowhere; --data-root is the folder with"):
        Nih().read(tmp_path / "nowhere")


def test_images_may_be_linked_from_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (root / "images").rename(disk / "images")
    (root / "images").symlink_to(disk / "images")
    source = Nih().read(root).manifest["source"].iloc[0]
    assert np.array_equal(pixels_of(root, source), GREY)


# Odd tables: told as problems, and a run refuses the serious ones


def problems_of(root: Path) -> dict[str, tuple[int, tuple[str, ...], bool]]:
    return {p.kind: (p.count, p.examples, p.serious) for p in Nih().read(root).problems}


def test_a_clean_table_has_no_problems(root: Path) -> None:
    assert problems_of(root) == {}


def test_rows_that_repeat_are_kept_once_and_said(root: Path) -> None:
    # The order of labels is no difference.
    again = ROWS[1].replace("Cardiomegaly|Emphysema", "Emphysema|Cardiomegaly")
    expected = Nih().read(root)
    write_table(root, (*ROWS, ROWS[0], again))
    collection = Nih().read(root)
    pd.testing.assert_frame_equal(collection.manifest, expected.manifest)
    pd.testing.assert_frame_equal(collection.labels, expected.labels)
    assert problems_of(root) == {"duplicate_rows": (2, ("00000001_000.png", "00000001_001.png"), False)}
    assert collection.notes == ("Images with several rows that agree: 2; one is kept.",)
    collection.require_sound()


@pytest.mark.parametrize(
    ("old", "new", "kind", "example"),
    [
        ("Cardiomegaly", "Mass", "label_conflict", "00000001_000.png"),
        (",0,1,57,", ",0,9,57,", "row_conflict", "00000001_000.png"),
        (",57,M,", ",57,F,", "row_conflict", "00000001_000.png"),
    ],
)
def test_rows_that_contradict_each_other_are_refused_by_name(
    root: Path, old: str, new: str, kind: str, example: str
) -> None:
    write_table(root, (*ROWS, ROWS[0].replace(old, new)))
    collection = Nih().read(root)
    assert problems_of(root) == {kind: (1, (example,), True)}
    assert collection.labels.loc[example].isna().all()
    assert len(collection.manifest) == 4
    with pytest.raises(CxrbenchError, match=rf"{kind} \(1, such as {example}\); correct its tables"):
        collection.require_sound()


def test_an_unknown_label_is_refused_by_name(root: Path) -> None:
    write_table(root, (ROWS[0].replace("Cardiomegaly", "Mass|Cardiomegally"), *ROWS[1:]))
    collection = Nih().read(root)
    assert problems_of(root) == {"unknown_label": (1, ("00000001_000.png: Mass|Cardiomegally",), True)}
    assert collection.labels.loc["00000001_000.png"].isna().all()
    with pytest.raises(CxrbenchError, match=r"unknown_label .*Cardiomegally"):
        collection.require_sound()


@pytest.mark.parametrize("hole", [("Cardiomegaly", ""), (",0,1,57,", ",0, ,57,"), ("00000001_000.png", "")])
def test_incomplete_rows_are_left_out_and_said(root: Path, hole: tuple[str, str]) -> None:
    write_table(root, (ROWS[0].replace(*hole), *ROWS[1:]))
    problems = problems_of(root)
    assert problems["incomplete_rows"][0] == 1
    assert problems["missing_rows"] == (1, ("00000001_000.png",), False)
    assert len(Nih().read(root).manifest) == 3


def test_a_folder_with_everything_odd_at_once_is_read(root: Path) -> None:
    odd = ("411", "060Y", "009M", "old")
    rows = tuple(
        row.replace(f",{age},", f",{text},")
        for row, age, text in zip(ROWS, (57, 58, 80, 74), odd, strict=True)
    )
    write_table(root, (*rows, rows[0], rows[1].replace("PA", "XX").replace("AP", "PA"), rows[2], ",,,,,,,,"))
    (root / "images/00000001_000.png").write_bytes(b"")
    (root / "images/00000002_000.png").write_bytes((root / "images/00000002_000.png").read_bytes()[:50])
    write_png(root / "images/00000099_000.png")
    assert {kind: found[0] for kind, found in problems_of(root).items()} == {
        "incomplete_rows": 1,
        "unlisted_images": 1,
        "implausible_age": 2,
        "row_conflict": 1,
        "duplicate_rows": 2,
    }
    ages = Nih().read(root).manifest["age"]
    assert ages.iloc[1:3].tolist() == [60, 0.75]
    assert ages.isna().tolist() == [True, False, False, True]


# Other layouts


def zipped(path: Path, members: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_the_hugging_face_copy_is_read_through_its_zip_files(root: Path, tmp_path: Path) -> None:
    expected = Nih().read(root)
    copy = tmp_path / "copy"
    (copy / "data").mkdir(parents=True)
    for table in root.glob("*.*"):
        table.rename(copy / "data" / table.name)
    for part, images in (("001", ROWS[:2]), ("012", ROWS[2:])):
        names = [row.partition(",")[0] for row in images]
        contents = {f"images/{name}": (root / "images" / name).read_bytes() for name in names}
        zipped(copy / f"data/images/images_{part}.zip", {"images/": b"", **contents})
    collection = Nih().read(copy)
    pd.testing.assert_frame_equal(
        collection.manifest.drop(columns="source"), expected.manifest.drop(columns="source")
    )
    pd.testing.assert_frame_equal(collection.boxes, expected.boxes)
    assert collection.manifest["source"].iloc[3] == "data/images/images_012.zip/images/00000003_000.png"
    for source in collection.manifest["source"]:
        assert np.array_equal(pixels_of(copy, source), GREY)


@pytest.mark.parametrize("folder", ["data/images", "data/images/images", "data/images/images_003/images"])
def test_the_hugging_face_copy_unpacked(root: Path, tmp_path: Path, folder: str) -> None:
    copy = tmp_path / "copy"
    (copy / folder).parent.mkdir(parents=True)
    for table in root.glob("*.*"):
        table.rename(copy / "data" / table.name)
    (root / "images").rename(copy / folder)
    assert len(Nih().read(copy).manifest) == 4


# Lists with roles and labels


def flags(*findings: str) -> str:
    return " ".join(str(int(finding in findings)) for finding in NIH_FINDINGS)


@pytest.fixture
def lists(root: Path) -> Path:
    """Lists whose labels are others than the table's, without the official ones."""
    folder = root / "other"
    folder.mkdir()
    (folder / "train_list.txt").write_text(
        f"00000001_000.png {flags('Hernia')}\n00000001_001.png {flags()}\n00000077_000.png {flags()}\n"
    )
    (folder / "val_list.txt").write_text(f"00000002_000.png {flags('Atelectasis', 'Mass')}\n")
    (folder / "test_list.txt").write_text(f"00000003_000.png {flags('Pleural_Thickening')}")
    (root / "train_val_list.txt").unlink()
    (root / "test_list.txt").unlink()
    return root


@pytest.mark.parametrize("absolute", [False, True])
def test_lists_give_roles_and_labels(lists: Path, absolute: bool) -> None:
    collection = Nih(lists=str(lists / "other") if absolute else "other").read(lists)
    assert list(collection.manifest["role"]) == ["train", "train", "val", "test"]
    assert list(collection.manifest["official"]) == ["train_val"] * 3 + ["test"]
    assert list(collection.manifest["patient_id"]) == ["1", "1", "2", "3"]
    assert collection.listed == {"train_val": 4, "test": 1}
    assert findings_of(collection, "00000001_000.png") == {"Hernia"}
    assert findings_of(collection, "00000001_001.png") == set()
    assert findings_of(collection, "00000002_000.png") == {"Atelectasis", "Mass"}
    assert findings_of(collection, "00000003_000.png") == {"Pleural_Thickening"}
    assert (collection.labels.dtypes == np.float32).all()
    assert collection.label_version.startswith("train/val/test lists ")
    assert collection.problems == ()


def test_thresholds_are_recommended_on_val_where_lists_have_no_tune() -> None:
    assert Nih(lists="other").recommend()["tune"] == "val"
    assert "tune" not in Nih().recommend()


def test_the_label_version_of_lists_follows_from_their_content(lists: Path) -> None:
    first = Nih(lists="other").read(lists).label_version
    (lists / "other").rename(lists / "moved")
    assert Nih(lists="moved").read(lists).label_version == first
    append("moved/val_list.txt", f"00000099_000.png {flags()}\n")(lists)
    assert Nih(lists="moved").read(lists).label_version != first


def test_lines_that_repeat_are_one_and_those_that_differ_a_conflict(lists: Path) -> None:
    append("other/train_list.txt", f"00000001_001.png {flags()}\n")(lists)
    collection = Nih(lists="other").read(lists)
    assert [(p.kind, p.examples) for p in collection.problems] == [("duplicate_rows", ("00000001_001.png",))]
    append("other/train_list.txt", f"00000001_001.png {flags('Mass')}\n")(lists)
    collection = Nih(lists="other").read(lists)
    assert [(p.kind, p.serious) for p in collection.problems] == [("label_conflict", True)]
    assert collection.labels.loc["00000001_001.png"].isna().all()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (remove("other/val_list.txt"), r"val_list\.txt is missing in .*train_list\.txt, val_list\.txt"),
        (append("other/val_list.txt", f"00000001_000.png {flags()}\n"), r"00000001_000\.png, stand in both"),
        (append("other/val_list.txt", "00000009_000.png 0 1\n"), r"Line 2 of .*val_list.* 14 zeros or ones"),
        (append("other/val_list.txt", f"00000009_000.png {flags()[:-1]}2\n"), r"Line 2 of"),
        (append("other/val_list.txt", f"00000009_000.png {flags()} 0\n"), r"Line 2 of"),
    ],
)
def test_wrong_lists_are_one_sentence(lists: Path, damage, sentence: str) -> None:
    damage(lists)
    with pytest.raises(CxrbenchError, match=sentence):
        Nih(lists="other").read(lists)


def test_the_widely_used_lists_are_in_the_order_of_the_findings(tmp_path: Path) -> None:
    """78,468 / 11,219 / 22,433 images; few labels differ from those of the table of 2020."""
    root = subset_root()
    for role in ("train", "val", "test"):
        (tmp_path / f"{role}_list.txt").symlink_to(root.parent / f"predictions/arnoweng_{role}_list.txt")
    if not (tmp_path / "val_list.txt").exists():
        pytest.skip(f"there are no lists in {root.parent}/predictions (CXRBENCH_TEST_DATA)")
    lists = labelled_lists(tmp_path, odd := Oddities())
    assert lists.role.value_counts().to_dict() == {"train": 78_468, "val": 11_219, "test": 22_433}
    assert odd.problems == []
    assert lists.labels is not None
    table = pd.read_csv(root / "Data_Entry_2017_v2020.csv", index_col="Image Index")["Finding Labels"]
    oracle = table.str.get_dummies("|").reindex(index=lists.labels.index, columns=list(NIH_FINDINGS))
    differ = (lists.labels != oracle).any(axis=1)
    assert differ.groupby(lists.role).sum().to_dict() == {"train": 127, "val": 18, "test": 36}
    collection = Nih(lists=str(tmp_path.resolve())).read(root)
    assert collection.notes == ("1,605 of the 112,120 listed images are here.",)
    assert set(shared_patients(collection.manifest, collection.manifest["role"]).values()) == {0}


def test_recommends_imagenet_at_224() -> None:
    assert Nih().recommend()["image_size"] == 224
    assert Nih().recommend()["weights"] == "imagenet"


def test_the_real_subset() -> None:
    root = subset_root()
    collection = Nih().read(root)
    assert collection.listed == {"train_val": 86_524, "test": 25_596}
    assert collection.notes == ("1,605 of the 112,120 listed images are here.",)
    assert collection.manifest["official"].value_counts().to_dict() == {"train_val": 1378, "test": 227}
    assert collection.manifest["patient_id"].nunique() == 1281
    assert collection.manifest.index.is_monotonic_increasing
    assert collection.manifest[["age", "sex", "view"]].notna().all(axis=None)
    assert len(collection.boxes) == 60
    sides = collection.boxes[["x", "y", "width", "height"]]
    assert sides.ge(0).all(axis=None)
    assert (collection.boxes["x"] + collection.boxes["width"]).le(1.001).all()
    assert (collection.boxes["y"] + collection.boxes["height"]).le(1.001).all()
    shared = shared_patients(collection.manifest, assign_roles(collection.manifest))
    assert set(shared.values()) == {0}


def test_the_labels_of_the_real_subset_are_the_tables() -> None:
    root = subset_root()
    labels = Nih().read(root).labels
    table = pd.read_csv(root / "Data_Entry_2017_v2020.csv", index_col="Image Index")["Finding Labels"]
    oracle = table.loc[labels.index].str.get_dummies("|").reindex(columns=list(NIH_FINDINGS), fill_value=0)
    assert np.array_equal(labels.to_numpy(), oracle.to_numpy())


def test_the_real_images_are_grey_at_their_own_size() -> None:
    root = subset_root()
    sources = Nih().read(root).manifest["source"]
    for source in sources.iloc[::160]:
        pixels = pixels_of(root, source)
        assert pixels.shape == (256, 256)
        assert pixels.std() > 10


RGBA = np.dstack([GREY] * 3 + [np.full_like(GREY, 255)])


@pytest.mark.parametrize("packed", [False, True])
def test_images_with_four_channels_are_converted_or_dropped(root: Path, packed: bool) -> None:
    write_png(root / "images" / "00000001_001.png", RGBA)
    if packed:
        with zipfile.ZipFile(root / "images_001.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted((root / "images").iterdir()):
                archive.write(path, f"images/{path.name}")
                path.unlink()
    converted, dropped = Nih().read(root), Nih(four_channel="drop").read(root)
    assert len(converted.manifest) == 4
    assert set(converted.manifest.index) - set(dropped.manifest.index) == {"00000001_001.png"}
    assert "Images with four channels: 1; they are left out." in dropped.notes
    # What a file's pixels are depends on no option.
    np.testing.assert_array_equal(pixels_of(root, converted.manifest.loc["00000001_001.png", "source"]), GREY)


def test_a_file_that_is_no_png_has_not_four_channels(root: Path) -> None:
    (root / "images" / "00000001_001.png").write_bytes(b"\x89PNG")
    assert len(Nih(four_channel="drop").read(root).manifest) == 4
