"""Tasks that are made of a data set's findings: one right class, and "No Finding" as a class."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS, NO_FINDING
from cxrbench.stages.evaluate import null_rows
from cxrbench.task import Task
from cxrbench.tasks.single_label import CHESTXRAY8, FOUR, SingleLabel
from cxrbench.tasks.with_no_finding import WithNoFinding

OWN = Task("multilabel", NIH_FINDINGS)
NAN = np.nan


def labels(*images):
    """Labels of images given as ``"Mass|Nodule"``; empty is none, ``?`` unknown in Hernia."""
    matrix = np.array([[float(name in text.split("|")) for name in NIH_FINDINGS] for text in images])
    matrix[[text == "?" for text in images], -1] = NAN
    return matrix


def called(found):
    return [
        None if not kept else found.task.classes[int(row.argmax())]
        for row, kept in zip(found.labels, found.kept, strict=True)
    ]


IMAGES = labels("", "Effusion", "Mass", "Effusion|Mass", "Infiltration", "?")


def test_no_finding_is_a_class_that_is_unknown_where_a_finding_might_be_there():
    found = WithNoFinding().define(OWN, np.vstack([IMAGES, labels("Mass")]))
    assert found.task == Task("multilabel", (*NIH_FINDINGS, NO_FINDING))
    np.testing.assert_array_equal(found.labels[:, -1], [1, 0, 0, 0, 0, NAN, 0])
    np.testing.assert_array_equal(found.labels[:6, :-1], IMAGES)
    assert found.kept.all()
    again = WithNoFinding().define(found.task, found.labels)
    np.testing.assert_array_equal(again.labels, found.labels)


def test_a_present_finding_is_enough_to_know_that_there_is_one():
    row = labels("Mass")
    row[0, 3] = NAN
    assert WithNoFinding().define(OWN, row).labels[0, -1] == 0


def test_images_with_one_label_among_the_classes_have_a_place():
    found = SingleLabel().define(OWN, IMAGES)
    assert found.task == Task("singlelabel", FOUR)
    assert called(found) == [NO_FINDING, "Effusion", None, None, "Infiltration", None]


def test_the_rest_is_a_class_for_what_is_known():
    found = SingleLabel(rest="Other").define(OWN, IMAGES)
    assert found.task.classes == (*FOUR, "Other")
    assert called(found) == [NO_FINDING, "Effusion", "Other", "Other", "Infiltration", None]


def test_a_class_no_finding_of_the_data_set_is_taken_as_it_is():
    own = Task("multilabel", ("A", NO_FINDING))
    rows = np.array([[1, 0], [0, 1], [0, 0], [1, 1]], float)
    found = SingleLabel(classes=("A", NO_FINDING)).define(own, rows)
    assert called(found) == ["A", NO_FINDING, None, None]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": ("Mass",)}, "at least two classes"),
        ({"classes": ("Mass", "Nodule", "Mass")}, "the class 'Mass' twice"),
        ({"classes": ("Mass",), "rest": "Mass"}, "the class 'Mass' twice"),
    ],
)
def test_classes_that_are_wrong_anywhere_are_refused(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        SingleLabel(**options)


def test_a_class_that_the_data_set_lacks_is_refused_with_the_near_names():
    with pytest.raises(UsageError, match=r"no class 'Efusion' .* did you mean Effusion"):
        SingleLabel(classes=("Efusion", "Mass")).define(OWN, IMAGES)
    with pytest.raises(UsageError, match="there are A, No Finding"):
        SingleLabel().define(Task("multilabel", ("A",)), np.zeros((1, 1)))


def official_labels():
    """Labels of all 86,524 images of NIH's train_val list."""
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    root = data / "nih_subset"
    tables, lists = sorted(root.rglob("Data_Entry_2017*.csv")), sorted(root.rglob("train_val_list.txt"))
    if not tables or not lists:
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    listed = set(lists[0].read_text().split())
    table = pd.read_csv(tables[0], usecols=["Image Index", "Finding Labels"])
    texts = table["Finding Labels"][table["Image Index"].map(listed.__contains__)]
    if len(texts) < 86_524:
        pytest.skip("the label table at hand is not the whole one")
    dummies = texts.str.get_dummies("|")
    return dummies[list(NIH_FINDINGS)].to_numpy(float)


def test_the_published_ten_classes_of_nih():
    """Figure 8 of "ChestX-ray14 Project - Group 38": counts, and the most frequent class as a baseline."""
    found = SingleLabel(classes="chestxray8", rest="Other").define(OWN, official_labels())
    counts = dict(zip(found.task.classes, found.labels.sum(axis=0).astype(int), strict=True))
    assert counts == {
        **dict(zip(CHESTXRAY8[:8], (3414, 777, 2788, 7327, 1696, 2248, 234, 1241), strict=True)),
        NO_FINDING: 50500,
        "Other": 16299,
    }
    (null,) = null_rows(found.task, found.labels, found.labels)
    assert null["name"] == "most_frequent"
    assert round(null["metrics"]["accuracy"], 2) == 0.58
    assert round(null["metrics"]["macro_f1"], 2) == 0.07
    truth = found.labels.argmax(axis=1)
    always = np.full(len(truth), found.task.classes.index(NO_FINDING))
    assert null["metrics"]["accuracy"] == pytest.approx(accuracy_score(truth, always))
    assert null["metrics"]["macro_f1"] == pytest.approx(f1_score(truth, always, average="macro"))
    assert null["metrics"]["fnfr"] == 1
