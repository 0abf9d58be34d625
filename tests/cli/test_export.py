"""``cxrbench export``: what is written is run by the other tool and decides as the run does."""

import dataclasses
import json
import re

import numpy as np
import pytest
from conftest import LIGHT, PIXELS, invoke, run
from PIL import Image
from radiographs import write_table
from scipy.special import expit

from cxrbench.export import exporting, formats
from cxrbench.export.exporting import CARD

JUDGED = ("--calibrator", "platt", "--set", "min_positives=2", "--epochs", 1, "--device", "cpu")

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is optional")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_table(root)
    return root


@pytest.fixture(scope="module")
def record(tmp_path_factory, data):
    """The record of a run that sees PNG files, and its store."""
    results = tmp_path_factory.mktemp("export")
    done = run(
        results, *PIXELS, *JUDGED, "--data-root", data, "--weights", "none",
        backbone=None, dataset="csv:table=table.csv",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return {**done.json["runs"][0], "results": results}


def export(record, folder, form, *arguments):
    answer = invoke(
        "export", record["run_id"], "--to", form, "--out", folder, "--results", record["results"], *arguments
    )
    assert answer.exit_code == 0, answer.stderr
    return answer


def prepared(told, path):
    """An image as metadata tell it, without cxrbench: all that somebody else has."""
    assert told["preprocessing"]["name"] == "none"
    image = Image.open(path).resize(tuple(told["resized_to"]), Image.Resampling.BILINEAR)
    grey = np.asarray(image.crop(told["cropped_to"]), np.float32) / told["divided_by"]
    assert list(grey.shape) == told["then_resized_to"]
    channels = [(grey - mean) / std for mean, std in zip(told["mean"], told["std"], strict=True)]
    return np.stack(channels).astype(np.float32)


def test_onnx_with_its_metadata_alone_decides_as_the_run_does(record, data, tmp_path):
    """Prepared, run, calibrated by Platt's formula and compared with thresholds by hand."""
    export(record, tmp_path, "onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    properties = session.get_modelmeta().custom_metadata_map
    told = {name.removeprefix("cxrbench."): text for name, text in properties.items()}
    assert told["run_id"] == record["run_id"]
    assert told["intended_use"] == "research; not for clinical use"
    classes, inputs = json.loads(told["classes"]), json.loads(told["inputs"])
    (name,) = (each.name for each in session.get_inputs())
    assert name == "image"
    assert session.get_inputs()[0].shape == inputs["image"]["shape"]
    files = sorted(data.glob("*.png"))[:7]
    images = np.stack([prepared(inputs["image"], path) for path in files])
    (logits,) = session.run(["logits"], {"image": images})
    (first,) = session.run(["logits"], {"image": images[:1]})
    np.testing.assert_allclose(first, logits[:1], atol=1e-5)

    calibration = json.loads(told["calibration"])
    fitted = np.array(calibration["state"]["fitted"])
    curve = {key: np.array(values) for key, values in calibration["state"]["state"].items()}
    assert calibration["name"] == "platt"
    assert fitted.any()
    found = expit(logits.astype(np.float64))
    found[:, fitted] = expit(curve["slope"] * logits[:, fitted] + curve["intercept"])
    thresholds = json.loads(told["thresholds"])
    asked = invoke("predict", record["run_id"], *files, "--results", record["results"], "--json")
    for row, image in zip(found, asked.json["images"], strict=True):
        assert [each["finding"] for each in image["findings"]] == classes
        expected = np.array([each["probability"] for each in image["findings"]])
        np.testing.assert_allclose(row, expected, atol=1e-5)
        for value, each in zip(row, image["findings"], strict=True):
            threshold = thresholds[each["finding"]]
            assert each["threshold"] == threshold
            if threshold is not None and abs(value - threshold) > 1e-5:
                assert each["decision"] == (value >= threshold)


@pytest.mark.parametrize("form", ["onnx", "exported-program", "openvino"])
def test_every_format_is_checked_and_carries_the_same(record, tmp_path, form):
    if form == "openvino":
        pytest.importorskip("openvino", reason="openvino is optional")
    told = export(record, tmp_path / "out", form, "--json").json
    assert told["check"]["max_abs_logit"] < 1e-4
    assert sorted(map(str, (tmp_path / "out").iterdir())) == sorted(told["files"])
    assert told["metadata"]["classes"] == [row["finding"] for row in record["per_finding"]]
    assert formats.FORMATS[form].metadata(tmp_path / "out" / formats.FORMATS[form].file) == told["metadata"]


@pytest.mark.parametrize("form", ["onnx", "exported-program"])
def test_a_network_of_patient_data(tmp_path, form):
    done = run(tmp_path, *JUDGED, backbone=LIGHT)
    told = export({**done.json["runs"][0], "results": tmp_path}, tmp_path / "out", form, "--json").json
    assert list(told["metadata"]["inputs"]) == ["patient"]


def test_what_is_missing_is_said_in_one_line(record, tmp_path, monkeypatch):
    monkeypatch.setattr("cxrbench.export.openvino.find_spec", lambda name: None)
    monkeypatch.setattr("cxrbench.export.onnx_file.find_spec", lambda name: None)
    for form, said in (("openvino", "pip install openvino"), ("onnx", "pip install 'cxrbench[onnx]'")):
        answer = invoke(
            "export",
            record["run_id"],
            "--to",
            form,
            "--out",
            tmp_path / "out",
            "--results",
            record["results"],
        )
        assert answer.exit_code == 1
        assert answer.stderr.count("\n") == 1
        assert said in answer.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_computes_something_else_is_not_left(record, tmp_path, monkeypatch):
    honest = formats.FORMATS["exported-program"]

    def write(network, *others):
        next(network.parameters()).data.mul_(2)
        honest.write(network, *others)
        next(network.parameters()).data.div_(2)

    monkeypatch.setattr(exporting, "FORMATS", {"exported-program": dataclasses.replace(honest, write=write)})
    answer = invoke(
        *("export", record["run_id"], "--to", "exported-program"),
        *("--out", tmp_path / "out", "--results", record["results"]),
    )
    assert answer.exit_code == 1
    assert "does not compute what the network does" in answer.stderr
    assert not list((tmp_path / "out").iterdir())


def test_the_card_says_what_the_record_has(record, tmp_path):
    told = export(record, tmp_path, "exported-program", "--json").json["metadata"]
    card = (tmp_path / CARD).read_text()
    fitted = dict(zip(told["classes"], told["calibration"]["state"]["fitted"], strict=True))
    (unfitted,) = re.findall(
        r"It was not fitted, for want of positives or negatives, and changes nothing for (.*?)\.", card
    )
    assert unfitted.split(", ") == [name.replace("_", " ") for name, own in fitted.items() if not own]
    assert "**Not for clinical use.**" in card
    assert record["passport"]["id"] in card
    for heading in ("Network", "Limits", "Data passport", "Performance", "Subgroups", "Files"):
        assert re.search(rf"^## {heading}", card, re.MULTILINE)
    bounds = {row["finding"]: row for row in record["intervals"]["per_finding"]}
    for row in record["per_finding"]:
        shown = f"| {row['finding'].replace('_', ' ')} | {row['auc']:.3f}"
        if bounds[row["finding"]]["auc"]["low"] is not None:
            shown += f" [{bounds[row['finding']]['auc']['low']:.3f}, "
        assert shown in card
    for each in record["sanity"]:
        assert each["reason"] in card
    for row in record["subgroups"]:
        assert f"| {row['attribute']}: {row['group']} | {row['images']} |" in card
    # Every row of a table has as many cells as its head.
    for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
