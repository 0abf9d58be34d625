"""Records of measurements: added whole, read back in order, and refused where they cannot be read."""

import json

import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.latency.record import FILES, append, readable_records_of, records_of
from cxrbench.reporter import Reporter
from cxrbench.store import Store

TOLD = {
    "runtime": {"name": "eager", "options": {"layout": "contiguous"}},
    "precision": "fp32",
    "batch_size": 1,
    "image_size": 64,
    "latency": {"percentiles": [{"percent": 50, "value": float("nan")}]},
    "gate": {"passed": True},
}
TRAINING = "train/0123"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results", Reporter(quiet=True))


def made(folder):
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text("content")
    return folder


def test_records_are_added_and_read_in_their_order(store, tmp_path):
    kept = [append(store, TRAINING, {**TOLD, "place": k}, made(tmp_path / str(k))) for k in range(3)]
    found = list(records_of(store, TRAINING))
    assert [each.told for each in found] == [each.told for each in kept]
    assert [each.told["place"] for each in found] == [0, 1, 2]
    assert found[0].runtime == "eager:layout=contiguous"
    assert found[0].passed
    assert found[0].percentile(50)["value"] is None
    assert all((each.folder / name).read_text() == "content" for each in found for name in FILES)
    assert list(records_of(store, "train/other")) == []


def test_what_an_interrupted_measurement_left_is_no_record(store, tmp_path):
    kept = append(store, TRAINING, TOLD, made(tmp_path / "a"))
    kept.folder.rename(kept.folder.with_name(f".{kept.folder.name}.tmp"))
    assert list(records_of(store, TRAINING)) == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{", "is damaged"),
        ("{}", "is damaged"),
        ("[1]", "is damaged"),
        ('{"schema_version": 99}', "newer cxrbench"),
    ],
)
def test_what_cannot_be_read_is_named(store, tmp_path, capsys, text, part):
    sound = append(store, TRAINING, TOLD, made(tmp_path / "b"))
    kept = append(store, TRAINING, TOLD, made(tmp_path / "a"))
    (kept.folder / "record.json").write_text(text)
    with pytest.raises(CxrbenchError, match=part):
        list(records_of(store, TRAINING))
    assert [each.folder for each in readable_records_of(store, TRAINING)] == [sound.folder]
    assert part in " ".join(capsys.readouterr().err.split())


def test_a_record_is_json_that_others_can_read(store, tmp_path):
    kept = append(store, TRAINING, TOLD, made(tmp_path / "a"))
    told = json.loads((kept.folder / "record.json").read_text())
    assert (told["schema_version"], told["training"]) == (1, TRAINING)
