from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbench.collection import Collection
from cxrbench.datasets.nih import Nih
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
        "Images in neither official list: 1; they are left out.",
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
        (lambda r: write_table(r, (*ROWS, ROWS[0])), r"has image 00000001_000\.png twice"),
        (lambda r: write_table(r, ROWS, HEADER.replace("Patient ID", "ID")), r"has no column 'Patient ID'"),
        (
            lambda r: write_table(r, ROWS, HEADER.replace("Patient Gender", "G")),
            r"no column 'Patient Gender'",
        ),
        (
            lambda r: write_table(r, (ROWS[0].replace("Cardiomegaly", "Cardiomegally"), *ROWS[1:])),
            r"'Cardiomegally'",
        ),
        (lambda r: write_table(r, (ROWS[0].replace("Cardiomegaly", ""), *ROWS[1:])), r"rows without labels"),
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


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("L", GREY),
        ("RGB", GREY),
        ("RGBA", GREY),
        ("LA", GREY),
        ("P", GREY),
        ("1", np.where(GREY >= 128, 255, 0)),
    ],
)
def test_every_mode_of_png_becomes_grey(tmp_path: Path, mode: str, expected: np.ndarray) -> None:
    image = Image.fromarray(GREY)
    (image.convert(mode, dither=Image.Dither.NONE) if mode != "P" else image.quantize(256)).save(
        tmp_path / "x.png"
    )
    pixels = pixels_of(tmp_path, "x.png")
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, expected)


def test_16_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    levels = np.array([[0, 128, 129, 256, 257, 32768, 65535]], dtype=np.uint16)
    write_png(tmp_path / "deep.png", levels)
    pixels = pixels_of(tmp_path, "deep.png")
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [np.round(levels[0] / 65535 * 255).astype(int).tolist()]


@pytest.mark.parametrize("source", ["../secret.png", "images/../../secret.png", "{root}/x.png"])
def test_a_source_stays_below_the_root(tmp_path: Path, source: str) -> None:
    root = tmp_path / "root"
    write_png(root / "x.png")
    write_png(tmp_path / "secret.png")
    with pytest.raises(CxrbenchError, match="leads out of"):
        pixels_of(root, source.format(root=root))


def test_images_may_be_linked_from_elsewhere(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    disk = tmp_path_factory.mktemp("disk")
    (root / "images").rename(disk / "images")
    (root / "images").symlink_to(disk / "images")
    source = Nih().read(root).manifest["source"].iloc[0]
    assert np.array_equal(pixels_of(root, source), GREY)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(CxrbenchError, match=r"The file gone\.png is missing in"):
        pixels_of(tmp_path, "gone.png")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 80), at=st.integers(0, 79), byte=st.integers(0, 255))
def test_a_damaged_image_is_read_or_named(tmp_path: Path, cut: int, at: int, byte: int) -> None:
    """Whatever bytes are lost or changed, either pixels come back or one sentence naming the file."""
    write_png(tmp_path / "whole.png")
    content = bytearray((tmp_path / "whole.png").read_bytes())
    content[at % len(content)] = byte
    (tmp_path / "damaged.png").write_bytes(content[: len(content) - cut])
    sentence = ""
    try:
        shape = pixels_of(tmp_path, "damaged.png").shape
    except CxrbenchError as error:
        sentence = str(error)
    assert sentence.startswith("The image damaged.png ") or len(shape) == 2


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
