import numpy as np
import pandas as pd
import pytest

from cxrbench.errors import UsageError
from cxrbench.label_overlay import LabelOverlay
from cxrbench.task import Task

TASK = Task("multilabel", ("Mass", "Infiltration", "Pleural_Thickening"))
BEFORE = pd.DataFrame(
    [[1, 0, 0], [0, 1, 0], [0, 0, np.nan]],
    index=pd.Index(["a.png", "b.png", "c.png"], name="image_id"),
    columns=list(TASK.classes),
    dtype="float32",
)


def applied(folder, text, task=TASK, before=BEFORE):
    path = folder / "panel.csv"
    path.write_text(text, encoding="utf-8")
    changed, note = LabelOverlay.read(path).apply(before, task)
    assert (changed.dtypes == np.float32).all()
    return changed.to_numpy().tolist(), note


def test_cells_replace_labels_and_empty_ones_leave_them(tmp_path):
    text = "image_id,Mass,infiltrate,Pleural thickening\na.png,0,,1\nc.png,, 1 ,0.0\nz.png,1,1,1\n"
    labels, note = applied(tmp_path, text)
    assert labels == [[0, 0, 1], [0, 1, 0], [0, 1, 0]]
    assert note == "panel.csv tells 3 images (1 of them not at hand) and changes 4 labels."


def test_a_published_file_of_yes_and_no_with_other_columns(tmp_path):
    text = "Image ID,Reader,Mass,Airspace opacity\na.png,3,NO,YES\nb.png,3,Yes,NO\n"
    labels, note = applied(tmp_path, text)
    assert labels[:2] == [[0, 0, 0], [1, 1, 0]]
    assert note == (
        "panel.csv tells 2 images and changes 2 labels; not findings, and not used: Reader, Airspace opacity."
    )


def test_label_strings_with_other_columns(tmp_path):
    labels, note = applied(tmp_path, "Image Index,Patient ID,Finding Labels\na.png,3,Infiltration\n")
    assert labels[0] == [0, 1, 0]
    assert note.endswith("not used: Patient ID.")


def test_minus_one_is_unknown(tmp_path):
    labels, note = applied(tmp_path, "Image Index,Mass\na.png,-1\nb.png,0\n")
    assert np.isnan(labels[0][0])
    assert labels[0][1:] == [0, 0]
    assert note == "panel.csv tells 2 images and changes 1 labels."


def test_label_strings_tell_every_class(tmp_path):
    text = "Image Index,Finding Labels\na.png,No Finding\nb.png,\nc.png,Mass|Infiltration\n"
    labels, _ = applied(tmp_path, text)
    assert labels == [[0, 0, 0], [0, 1, 0], [1, 1, 0]]


def test_no_finding_may_be_a_class_of_its_own(tmp_path):
    task = Task("singlelabel", ("No Finding", "Mass"))
    before = pd.DataFrame(np.eye(2), index=["a", "b"], columns=list(task.classes), dtype="float32")
    labels, _ = applied(tmp_path, "image_id,Finding Labels\na,Mass\nb,No Finding\n", task, before)
    assert labels == [[0, 1], [1, 0]]
    with pytest.raises(UsageError, match="the image a has not one class"):
        applied(tmp_path, "image_id,Mass\na,1\n", task, before)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,Mass\na.png,1\n", "has no column with image ids; it takes image_id or Image Index"),
        ("image_id,Reader\na.png,7\n", "has no column that is a finding; it takes"),
        ("image_id,Mass,mass\na.png,1,1\n", "has two columns of Mass"),
        ("image_id,Mass\na.png,Maybe\n", "has 'Maybe' under 'Mass' for image a.png"),
        ("image_id,Mass\na.png,1\na.png,0\n", "has the image a.png twice"),
        ("image_id,Finding Labels,Mass\na.png,Mass,1\n", "has 'Mass' beside 'Finding Labels'"),
        ("image_id,Finding Labels\na.png,Mass|Covid\n", "has the label 'Mass|Covid'; the classes are Mass"),
        ("", "cannot be read as CSV"),
        ("image_id,Mass\na.png,1,\n", "more cells than its header"),
        ("image_id,Mass\na.png,1\nb.png,1,0\n", "cannot be read as CSV"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_name(tmp_path, text, message):
    with pytest.raises(UsageError) as refused:
        applied(tmp_path, text)
    assert message in str(refused.value)
    assert "panel.csv" in str(refused.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"There is no file .*none.csv; --labels takes"):
        LabelOverlay.read(tmp_path / "none.csv")


def test_its_version_is_its_content_not_its_name(tmp_path):
    for name, text in (
        ("one", "image_id,Mass\na,1\n"),
        ("two", "image_id,Mass\na,1\n"),
        ("three", "image_id,Mass\na,0\n"),
    ):
        (tmp_path / name).write_text(text)
    one, two, three = (LabelOverlay.read(tmp_path / name).version for name in ("one", "two", "three"))
    assert one == two != three
