import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.predictions import SCHEMA_VERSION, Predictions
from cxrbench.task import Task

TASK = Task("multilabel", ("A", "B"))


def predictions(ids=("z", "a", "m")):
    index = pd.Index(list(ids), name="image_id", dtype="str")
    values = np.arange(2 * len(ids), dtype=np.float32).reshape(-1, 2) / 7
    return Predictions(TASK, pd.DataFrame(values, index=index, columns=["A", "B"]))


def test_logits_are_joined_by_id_never_by_position():
    made = predictions()
    matrix = made.matrix(pd.Index(["a", "z"]))
    assert matrix.dtype == np.float64
    assert matrix.tolist() == [made.table.loc["a"].tolist(), made.table.loc["z"].tolist()]


def test_a_missing_image_is_named_and_counted():
    with pytest.raises(CxrbenchError, match="2 of 3 images have no prediction, the first is b"):
        predictions().matrix(pd.Index(["a", "c", "b"]))


def test_an_image_that_stands_twice_is_refused():
    with pytest.raises(CxrbenchError, match="the image a more than once"):
        predictions(("a", "b", "a"))


def test_columns_must_be_the_classes_in_their_order():
    with pytest.raises(CxrbenchError, match="columns"):
        Predictions(Task("multilabel", ("B", "A")), predictions().table)


def test_what_is_written_is_read_bit_for_bit_and_holds_no_labels(tmp_path):
    made = predictions()
    made.write(tmp_path / "p.parquet")
    read = Predictions.read(tmp_path / "p.parquet")
    assert read.task == TASK
    pd.testing.assert_frame_equal(read.table, made.table)
    assert pq.read_schema(tmp_path / "p.parquet").names == ["image_id", "A", "B"]


def with_meta(path, **changed):
    predictions().write(path)
    table = pq.read_table(path)
    meta = json.loads(table.schema.metadata[b"cxrbench"]) | changed
    pq.write_table(table.replace_schema_metadata({b"cxrbench": json.dumps(meta)}), path)


def test_a_newer_version_is_refused(tmp_path):
    with_meta(tmp_path / "p.parquet", schema_version=SCHEMA_VERSION + 1)
    with pytest.raises(CxrbenchError, match="newer cxrbench"):
        Predictions.read(tmp_path / "p.parquet")


def test_foreign_files_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "p.parquet"
    with pytest.raises(CxrbenchError, match="cannot be read as Parquet"):
        Predictions.read(path)
    path.write_text("image_id,A,B\n")
    with pytest.raises(CxrbenchError, match="cannot be read as Parquet"):
        Predictions.read(path)
    pq.write_table(pa.table({"A": [1.0]}), path)
    with pytest.raises(CxrbenchError, match="not a predictions table"):
        Predictions.read(path)
