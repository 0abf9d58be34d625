"""Files of scores in every shape that people have them in come out as the same table."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.predictions import Predictions
from cxrbench.scores.reading import read_scores
from cxrbench.scores.values import kind_of, logits_of
from cxrbench.statistics.ranking import auc
from cxrbench.task import Task

TASK = Task("multilabel", NIH_FINDINGS)
IDS = [f"{number:08d}" for number in (10, 7, 123)]
SCORES = np.random.default_rng(0).random((3, 14)).astype(np.float32).astype(np.float64)
FRAME = pd.DataFrame(SCORES, index=pd.Index(IDS, name="Image Index"), columns=list(NIH_FINDINGS))


def read(path, **options):
    return read_scores(path, NIH_FINDINGS, **options)


def assert_same(table, ids=IDS):
    assert table.classes == NIH_FINDINGS
    order = {image_id: row for row, image_id in enumerate(table.ids)}
    np.testing.assert_array_equal(table.scores[[order[image_id] for image_id in ids]], SCORES)


SPELLINGS = {
    "prefix": lambda name: f"prob_{name}",
    "ending": lambda name: f"{name}_pred",
    "spaces and case": lambda name: f"Score {name.replace('_', ' ').upper()}",
    "aliases": lambda name: {"Effusion": "Pleural Effusion", "Edema": "Pulmonary edema"}.get(name, name),
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_may_be_spelled_and_ordered_as_one_likes(tmp_path, spelled, delimiter):
    path = tmp_path / "scores.csv"
    frame = FRAME.rename(columns=spelled)[[spelled(name) for name in reversed(NIH_FINDINGS)]]
    frame.assign(age=40).to_csv(path, sep=delimiter)
    table = read(path)
    assert_same(table)
    assert "age" in table.notes[0]


def test_an_index_without_a_name_holds_the_ids_and_numbers_that_are_ids_stay_text(tmp_path):
    path = tmp_path / "scores.csv"
    FRAME.rename_axis(None).to_csv(path)
    assert_same(read(path))


def test_a_long_table_is_the_wide_one(tmp_path):
    path = tmp_path / "scores.csv"
    long = FRAME.reset_index().melt("Image Index", var_name="finding", value_name="probability")
    long.sample(frac=1, random_state=0).to_csv(path, index=False)
    table = read(path)
    assert_same(table)
    assert table.hint == "probabilities"


@pytest.mark.parametrize("index", [True, False])
def test_parquet_is_read_with_its_index_or_without(tmp_path, index):
    path = tmp_path / "scores.parquet"
    (FRAME if index else FRAME.reset_index()).to_parquet(path)
    assert_same(read(path))


def test_a_predictions_table_of_cxrbench_holds_logits(tmp_path):
    path = tmp_path / "predictions.parquet"
    Predictions(TASK, FRAME.rename_axis("image_id")).write(path)
    table = read(path)
    assert_same(table)
    assert kind_of(table)[0] == "logits"


def test_npz_with_ids_classes_and_logits(tmp_path):
    path = tmp_path / "scores.npz"
    np.savez(path, logits=SCORES, ids=IDS, classes=list(NIH_FINDINGS), labels=SCORES > 0.5)
    table = read(path)
    assert_same(table)
    assert table.hint == "logits"
    np.testing.assert_array_equal(table.labels, SCORES > 0.5)


def test_labels_beside_scores_are_no_scores(tmp_path):
    path = tmp_path / "scores.csv"
    labels = (FRAME > 0.5).astype(int)
    pd.concat([labels, FRAME.add_prefix("prob_"), labels.add_prefix("gt_")], axis=1).to_csv(path)
    assert_same(read(path))


def test_several_columns_for_each_finding_are_told_apart_by_prefix(tmp_path):
    path = tmp_path / "scores.csv"
    pd.concat([FRAME.add_prefix("a_prob_"), (FRAME / 2).add_prefix("b_prob_")], axis=1).to_csv(path)
    with pytest.raises(UsageError, match="--prefix"):
        read(path)
    assert_same(read(path, prefix="a_prob_"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("Image Index,Mass,Mass\na,1,2\n", "the column 'Mass' twice"),
        ("Image Index,Mass\na,0.1,0.2\n", "cannot be read as CSV"),
        ("Image Index,Mass\na,high\n", "'high' under 'Mass' for image a"),
        ("Image Index,Cat\na,0.1\n", "no column that is a finding"),
        ("picture,Mass\na,0.1\n", "no column of image ids"),
        ("Image Index,Mass\n,0.1\n", "no image id in row 1"),
        ("Image Index,prob_Effusion,prob_Pleural Effusion\na,0.1,0.2\n", "both Effusion"),
    ],
)
def test_a_table_that_is_none_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "scores.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"other": np.zeros(3)}, "no array logits or probabilities"),
        ({"logits": np.zeros(3)}, "no matrix"),
        ({"logits": SCORES, "labels": SCORES[:2]}, "where its scores need"),
        ({"logits": SCORES, "labels": SCORES}, "among its labels"),
        ({"logits": SCORES[:, :3]}, "--classes"),
        ({"logits": np.array([[{}]], dtype=object)}, "cannot be read as npz"),
    ],
)
def test_an_npz_that_is_odd_is_refused_and_objects_are_never_unpickled(tmp_path, arrays, message):
    path = tmp_path / "scores.npz"
    np.savez(path, **arrays)
    with pytest.raises(UsageError, match=message):
        read(path)


@pytest.mark.parametrize("name", ["scores.parquet", "scores.npz", "scores.xlsx"])
def test_a_file_that_is_not_what_its_ending_says_is_refused(tmp_path, name):
    (tmp_path / name).write_text("no such thing")
    with pytest.raises(UsageError):
        read(tmp_path / name)


def test_what_values_are_is_found_out_or_asked(tmp_path):
    def kind(scores, prefix=""):
        path = tmp_path / "scores.csv"
        pd.DataFrame(scores, index=FRAME.index, columns=FRAME.columns).add_prefix(prefix).to_csv(path)
        return kind_of(read(path))[0]

    assert kind(SCORES) == "probabilities"
    assert kind(SCORES * 10 - 5) == "logits"
    assert kind(SCORES, "logit_") == "logits"
    broken = SCORES.copy()
    broken[0, 0] = 1.5
    with pytest.raises(UsageError, match="--values"):
        kind(broken)


probabilities = st.lists(
    st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0, 1, width=32)), min_size=2, max_size=40
)


@given(probabilities)
def test_logits_keep_order_and_ties_and_are_finite(values):
    given_ = np.array(values)[:, None]
    logits, extreme = logits_of(given_, Task("multilabel", ("A",)))
    assert np.isfinite(logits).all()
    assert extreme == ((given_ == 0) | (given_ == 1)).sum()
    np.testing.assert_array_equal(np.sign(given_ - given_.T), np.sign(logits - logits.T))


def test_auc_of_logits_is_that_of_probabilities():
    random = np.random.default_rng(0)
    scores = random.random((500, 3)).astype(np.float32).astype(np.float64).round(2)
    labels = (random.random(scores.shape) < scores).astype(np.float64)
    logits, _ = logits_of(scores, Task("multilabel", tuple("ABC")))
    np.testing.assert_array_equal(auc(logits, labels), auc(scores, labels))


def test_the_softmax_of_single_label_logits_gives_the_probabilities():
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], size=20)
    task = Task("singlelabel", tuple("ABC"))
    logits, _ = logits_of(scores, task)
    np.testing.assert_allclose(task.probabilities(logits), scores)
