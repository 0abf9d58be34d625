"""``cxrbench predict`` on real files: PNGs as a data set's, DICOM of every encoding, bad files among them."""

import csv
import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import LIGHT, PIXELS, invoke, run
from PIL import Image

pydicom = pytest.importorskip("pydicom", reason="pydicom is optional")

from radiographs import content, dicom, grey, write_table  # noqa: E402

from cxrbench.ensembling.members import Member  # noqa: E402
from cxrbench.options import make  # noqa: E402
from cxrbench.pixels import preparing  # noqa: E402
from cxrbench.plugins import installed  # noqa: E402
from cxrbench.predicting import predictor as predicting  # noqa: E402
from cxrbench.predicting.patients import Patients  # noqa: E402
from cxrbench.predicting.predictor import Predictor  # noqa: E402
from cxrbench.predicting.reading import ReadImage  # noqa: E402
from cxrbench.predictions import Predictions  # noqa: E402
from cxrbench.records import read_record  # noqa: E402
from cxrbench.reporter import Reporter  # noqa: E402
from cxrbench.stages import evaluate  # noqa: E402
from cxrbench.store import Store  # noqa: E402
from cxrbench.workflow import Workflow  # noqa: E402
from cxrbench.workflow.composed import composed  # noqa: E402
from cxrbench.workflow.trained import rows_of, trained_network  # noqa: E402

JUDGED = ("--calibrator", "platt", "--set", "min_positives=2", "--epochs", 1, "--device", "cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder of PNG files with their table."""
    root = tmp_path_factory.mktemp("data")
    write_table(root)
    return root


@pytest.fixture(scope="module")
def results(tmp_path_factory, data):
    """A store with a network that sees images, and one that sees images and patients."""
    results = tmp_path_factory.mktemp("predict")
    dataset, root = "csv:table=table.csv", ("--data-root", data, "--weights", "none")
    done = run(results, *PIXELS, *root, *JUDGED, backbone=None, dataset=dataset)
    assert done.exit_code == 0, done.stderr
    done = run(results, *root, *JUDGED, "--image-size", 32, backbone=LIGHT, dataset=dataset)
    assert done.exit_code == 0, done.stderr
    return results


@pytest.fixture(scope="module")
def ids(results):
    """The two runs: of images, of patient data."""
    names = sorted(path.name for path in (results / "runs").iterdir())
    light = next(name for name in names if "densenet" in name)
    return next(name for name in names if name != light), light


def predict(results, *arguments):
    return invoke("predict", *arguments, "--results", results, "--device", "cpu", "--json")


def probabilities(image):
    return np.array([each["probability"] for each in image["findings"]])


def one(answer):
    (image,) = answer.json["images"]
    return image


def test_pixels_and_answers_are_those_of_the_runs_own_test(results, data, ids):
    registry, reporter = installed().registry, Reporter(quiet=True)
    store, device = Store(results, reporter, create=False), torch.device("cpu")
    trained = trained_network(store, registry, ids[0])
    predictor = Predictor.of(store, registry, ids[0], Patients(), device)
    rows = rows_of(Workflow(store, registry, reporter, device, data), trained, "test")
    for place, name in enumerate(rows.image_ids):
        read = predictor.reader(data / name)
        assert isinstance(read, ReadImage)
        assert read.shape == grey(data / name).shape
        (pixels,) = read.pixels.values()
        np.testing.assert_array_equal(pixels, rows.pixels[rows.positions[place]])

    answer = predict(results, ids[0], *(data / name for name in rows.image_ids))
    assert answer.exit_code == 0, answer.stderr
    tables = [
        Predictions.read(store.read(each).folder / "predictions.parquet").table
        for each in trained.record["artifacts"]
        if each.startswith("predict/")
    ]
    logits = pd.concat(tables).loc[list(rows.image_ids)].to_numpy(np.float64)
    expected = predictor.behind.probabilities(logits)
    found = np.stack([probabilities(image) for image in answer.json["images"]])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    decided = [[each["decision"] for each in image["findings"]] for image in answer.json["images"]]
    clear = np.abs(expected - predictor.behind.thresholds) > 1e-5
    np.testing.assert_array_equal(np.array(decided)[clear], (expected >= predictor.behind.thresholds)[clear])
    assert len(rows.image_ids) == 24
    assert clear.mean() > 0.5


@pytest.fixture
def scan(data):
    """A PNG file of the data set."""
    return next(iter(sorted(data.glob("*.png"))))


def written(folder, file, name="scan.dcm"):
    path = folder / name
    path.write_bytes(content(file))
    return path


def _rle(file):
    file.compress(pydicom.uid.RLELossless)


def _jpeg2000(file):
    file.compress(pydicom.uid.JPEG2000Lossless)


def test_dicom_is_seen_as_the_png_that_it_shows(results, ids, scan, tmp_path):
    """8 to 16 bits, light or dark background, packed in any way without loss: the PNG's probabilities."""
    pixels = grey(scan).astype(np.int64)
    for pack, bits, inverted in itertools.product((None, _rle, _jpeg2000), (8, 10, 12, 16), (False, True)):
        stored = np.rint(pixels * (2**bits - 1) / 255).astype(np.int64)
        file = dicom(2**bits - 1 - stored if inverted else stored, bits)
        file.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
        if pack is not None:
            pack(file)
        written(tmp_path, file, f"{pack.__name__ if pack else 'plain'}-{bits}-{inverted}.dcm")
    answer = predict(results, ids[0], scan, tmp_path)
    assert answer.exit_code == 0, answer.stderr
    plain, *shown = answer.json["images"]
    assert len(shown) == 24
    for each in shown:
        np.testing.assert_array_equal(probabilities(each), probabilities(plain), each["file"])


def test_rescaled_values_and_their_window(results, ids, scan, tmp_path):
    file = dicom(grey(scan), RescaleSlope=2, RescaleIntercept=-100, WindowCenter=156, WindowWidth=511)
    shown, plain = predict(results, ids[0], written(tmp_path, file), scan).json["images"]
    np.testing.assert_allclose(probabilities(shown), probabilities(plain), atol=1e-3)


def test_jpeg_within_dicom_is_seen_as_the_jpeg_file(results, ids, scan, tmp_path):
    jpeg = io.BytesIO()
    Image.open(scan).save(jpeg, "JPEG", quality=90)
    (tmp_path / "scan.jpg").write_bytes(jpeg.getvalue())
    file = dicom(grey(scan))
    file.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    file.PixelData = pydicom.encaps.encapsulate([jpeg.getvalue()])
    shown, plain = predict(results, ids[0], written(tmp_path, file), tmp_path / "scan.jpg").json["images"]
    # Two decoders may differ by a grey level here and there.
    np.testing.assert_allclose(probabilities(shown), probabilities(plain), atol=1e-3)


def test_a_bad_file_is_listed_and_does_not_stop_the_rest(results, ids, scan, tmp_path):
    (tmp_path / "a.png").write_bytes(scan.read_bytes()[:-900])
    (tmp_path / "b.png").write_bytes(scan.read_bytes())
    (tmp_path / "c.png").write_bytes(b"")
    written(tmp_path, dicom(grey(scan), PhotometricInterpretation="RGB", SamplesPerPixel=3), "d.dcm")
    answer = predict(results, ids[0], tmp_path, tmp_path / "gone.png", "--out", tmp_path / "all.csv")
    assert answer.exit_code == 1
    told = answer.json
    assert [Path(each["file"]).name for each in told["images"]] == ["b.png"]
    failed = {Path(each["file"]).name: each["why"] for each in told["failed"]}
    assert list(failed) == ["a.png", "c.png", "d.dcm", "gone.png"]
    assert "truncated" in failed["a.png"]
    assert "zero bytes" in failed["c.png"]
    assert "No such file" in failed["gone.png"]
    rows = list(csv.DictReader((tmp_path / "all.csv").open()))
    assert len(rows) == 14 + 4
    assert [row["error"] for row in rows[14:]] == list(failed.values())


def test_the_table_has_what_json_has(results, ids, data, tmp_path):
    answer = predict(results, ids[0], data, "--out", tmp_path / "all.csv")
    assert answer.exit_code == 0, answer.stderr
    rows = pd.read_csv(tmp_path / "all.csv")
    flat = [(each["file"], *one.values()) for each in answer.json["images"] for one in each["findings"]]
    assert rows["file"].tolist() == [each[0] for each in flat]
    assert rows["finding"].tolist() == [each[1] for each in flat]
    np.testing.assert_allclose(rows["probability"], [each[2] for each in flat])
    assert rows["decision"].tolist() == [each[4] for each in flat]
    invoke("predict", ids[0], data, "--results", results, "--out", tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text()) == answer.json
    shown = invoke("predict", ids[0], data, "--results", results)
    assert "44 more images" in shown.stdout
    assert "not for clinical use" in shown.stdout


def test_processes_answer_as_threads_do(results, ids, data, monkeypatch):
    threads = predict(results, ids[0], data)
    monkeypatch.setattr(preparing, "MANY_FILES", 1)
    assert predict(results, ids[0], data).json == threads.json


NAME = ("doe", "jane")


def test_names_of_patients_reach_no_output(results, ids, scan, tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    odd = {"Modality": "MR", "BodyPartExamined": "KNEE", "BurnedInAnnotation": "YES", "ViewPosition": "LL"}
    written(folder, dicom(grey(scan), PatientID="DOE-JANE", **odd), "1.dcm")
    written(folder, dicom(grey(scan), PhotometricInterpretation="Doe^Jane"), "2.dcm")
    cut = content(dicom(grey(scan), OtherPatientNames="Doe^Jane"))
    (folder / "3.dcm").write_bytes(cut[:-500])
    heat = tmp_path / "heat"
    asked = ("predict", ids[0], folder, "--results", results, "--heatmaps", heat)
    answers = [
        invoke(*asked, "--json", "--out", tmp_path / "all.csv", "--debug"),
        invoke(*asked, "--out", tmp_path / "all.json"),
    ]
    said = [text for each in answers for text in (each.stdout, each.stderr)]
    said += [(tmp_path / name).read_text() for name in ("all.csv", "all.json")]
    said += [path.name for path in heat.iterdir()]
    assert not [text for text in said if any(name in text.lower() for name in NAME)]
    image = one(answers[0])
    names = [each["name"] for each in image["warnings"]]
    assert names == [
        "wrong_modality",
        "wrong_body_part",
        "wrong_view",
        "burned_in_annotation",
        "patient_id_withheld",
    ]
    assert all(name in answers[1].stdout for name in names)


def test_a_file_that_is_called_by_its_patient_is_warned_of(results, ids, scan, tmp_path):
    path = written(tmp_path, dicom(grey(scan)), "Doe-0001.dcm")
    answer = predict(results, ids[0], path, "--heatmaps", tmp_path / "heat")
    assert [each["name"] for each in one(answer)["warnings"]] == ["path_names_patient"]
    assert not [each for each in (tmp_path / "heat").iterdir() if "doe" in each.name.lower()]


def test_heatmaps_of_what_is_called(results, ids, data, tmp_path):
    files = sorted(data.glob("*.png"))[:4]
    answer = predict(results, ids[0], *files, "--heatmaps", tmp_path / "heat", "--explainer", "layercam")
    assert answer.exit_code == 0, answer.stderr
    findings = [each for image in answer.json["images"] for each in image["findings"]]
    called = [each for each in findings if each["decision"]]
    assert called
    assert all(each["heatmap"] is None for each in findings if not each["decision"])
    assert sorted(each["heatmap"] for each in called) == sorted(map(str, (tmp_path / "heat").iterdir()))
    with Image.open(called[0]["heatmap"]) as picture:
        assert picture.size == (768, round(768 * 90 / 100))
        assert picture.mode == "RGB"


def test_each_heatmap_has_a_file_of_its_own(results, ids, data, tmp_path, monkeypatch):
    """Also where files are called by their patients, and an image before them gives no finite logit."""
    for number, path in enumerate(sorted(data.glob("*.png"))[:6]):
        written(tmp_path, dicom(grey(path)), f"Doe-{number}.dcm")
    real, first = predicting.logits_of, iter([math.nan])

    def logits_of(*given, **named):
        logits = real(*given, **named)
        logits[0] *= next(first, 1.0)
        return logits

    monkeypatch.setattr(predicting, "logits_of", logits_of)
    monkeypatch.setattr(predicting, "AT_ONCE", 2)
    answer = predict(results, ids[0], tmp_path, "--heatmaps", tmp_path / "heat")
    assert [each["why"] for each in answer.json["failed"]] == [
        "makes the network give a logit that is not finite"
    ]
    drawn = [
        each["heatmap"] for image in answer.json["images"] for each in image["findings"] if each["decision"]
    ]
    assert len(drawn) > 5
    assert len(set(drawn)) == len(drawn) == len(list((tmp_path / "heat").iterdir()))


def test_patient_data_from_dicom_from_a_table_and_from_options(results, ids, data, scan, tmp_path):
    """The network of patient data answers by them alone; each source gives what the run's own test saw."""
    run_id = ids[1]
    row = pd.read_csv(data / "table.csv").set_index("image").loc[scan.name]
    (tmp_path / "a.png").write_bytes(scan.read_bytes())
    told = {"PatientAge": f"{int(row['age']):03}Y", "PatientSex": row["sex"], "ViewPosition": row["view"]}
    by_dicom = one(predict(results, run_id, written(tmp_path, dicom(grey(scan), **told))))
    options = ("--age", row["age"], "--sex", row["sex"], "--view", row["view"])
    by_options = one(predict(results, run_id, scan, *options))
    by_table = one(predict(results, run_id, scan, "--patients", data / "table.csv"))
    unknown = predict(results, run_id, scan)
    for each in (by_dicom, by_options, by_table):
        assert each["assumed"] == {}
        np.testing.assert_array_equal(probabilities(each), probabilities(by_options))
    assert set(one(unknown)["assumed"]) == {"age", "sex", "view"}
    assert (probabilities(one(unknown)) != probabilities(by_options)).any()
    assert any("age unknown, 50 years assumed" in note for note in unknown.json["notes"])
    half = one(predict(results, run_id, scan, "--sex", row["sex"]))
    assert half["assumed"] == {"age": "50 years", "view": "halfway between PA and AP"}


def test_a_network_of_images_assumes_nothing(results, ids, scan):
    assert one(predict(results, ids[0], scan))["assumed"] == {}


def test_a_network_of_drawn_images_reads_files_as_they_are(tmp_path, scan):
    done = run(tmp_path, *PIXELS, *JUDGED, backbone=None, dataset="phantom:train_val=60,test=20")
    assert done.exit_code == 0, done.stderr
    run_id = done.json["runs"][0]["run_id"]
    registry, reporter = installed().registry, Reporter(quiet=True)
    predictor = Predictor.of(
        Store(tmp_path, reporter, create=False), registry, run_id, Patients(), torch.device("cpu")
    )
    read = predictor.reader(scan)
    (pixels,) = read.pixels.values()
    (trained,) = predictor.composed.networks.values()
    whole = make(trained.spec.preprocessing, "preprocessing", registry).apply(grey(scan))
    np.testing.assert_array_equal(pixels, preparing.squared(whole, pixels.shape[0]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--out", "x.txt"), "ends in .csv or .json"),
        (("--out", "no/folder/x.csv"), "There is no folder"),
        (("--layer", "x"), "--layer is for --heatmaps"),
        (("--explainer", "layercam"), "--explainer is for --heatmaps"),
        (("--heatmaps", "x", "--layer", "nothing.like.it"), "has no layer"),
        (("--heatmaps", "x", "--explainer", "gradkam"), "gradcam"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(results, ids, scan, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    answer = predict(results, ids[0], scan, *arguments)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert not list(tmp_path.iterdir())


def test_heatmaps_need_images(results, ids, scan, tmp_path):
    answer = predict(results, ids[1], scan, "--heatmaps", tmp_path / "heat")
    assert answer.exit_code == 2
    assert "sees no images" in answer.stderr


def test_a_folder_without_images(results, ids, tmp_path):
    answer = predict(results, ids[0], tmp_path)
    assert answer.exit_code == 2
    assert "There is no image" in answer.stderr


# Runs of several networks.


def combined(results, *runs, search="average", more=()):
    asked = ("--search", search, "--folds", 2, "--min-positives", 0, "--results", results, "--json", *more)
    answer = invoke("ensemble", *runs, *asked)
    assert answer.exit_code == 0, answer.stderr
    return answer.json["run_id"]


def member(results, run_id):
    """A stored run with its predictions."""
    store = Store(results, Reporter(quiet=True), create=False)
    return Member(store, read_record(store.find_run(run_id)))


def require_answers_of_its_test(results, data, run_id):
    """What is predicted of the files of its test images is what the run has stored; the answer."""
    of_run = member(results, run_id)
    (step,) = (each for each in of_run.record["artifacts"] if each.startswith("evaluate/"))
    folder = of_run.store.read(step).folder
    files = [data / name for name in of_run.predictions("test").table.index]
    answer = predict(results, run_id, *files, "--patients", data / "table.csv")
    assert answer.exit_code == 0, answer.stderr
    images = answer.json["images"]
    expected = evaluate.read_probabilities(folder)
    np.testing.assert_allclose(np.stack(list(map(probabilities, images))), expected, atol=1e-5)
    thresholds = np.array(list(answer.json["thresholds"].values()), float)
    clear = np.abs(expected - thresholds) > 1e-5
    assert clear.mean() > 0.5
    decided = np.array([[each["decision"] for each in image["findings"]] for image in images], float)
    np.testing.assert_array_equal(decided[clear], evaluate.read_decisions(folder)[clear])
    return answer.json


WAYS = {
    "probabilities": ("genetic:population=8,generations=3,restarts=1", ("--calibrator", "platt")),
    "logits": ("logistic", ("--combine", "logits", "--thresholds", "youden")),
    "ranks": ("average", ("--combine", "ranks", "--fitness", "macro_auc")),
}


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def ensemble(results, ids, request):
    """An ensemble of the network of images and that of patient data."""
    search, more = request.param
    return combined(results, *ids, search=search, more=more)


def test_an_ensemble_makes_of_its_members_logits_what_it_has_stored(results, ensemble):
    """Bit for bit: scale, weights and rounding are those of its own test predictions."""
    own = member(results, ensemble)
    found = composed(own.store, installed().registry, ensemble)
    expected = own.predictions("test").table
    logits = {}
    for each in (member(results, run_id) for run_id in own.record["members"]):
        training = each.record["training"].removeprefix("artifacts/")
        logits[training] = each.predictions("test").matrix(expected.index)
    needed = {name: logits[name] for name in found.networks}
    np.testing.assert_array_equal(found.logits(needed), expected.to_numpy(np.float64))


def test_an_ensemble_answers_as_on_its_own_test(results, data, ensemble):
    told = require_answers_of_its_test(results, data, ensemble)
    assert set(told["networks"]) <= set(member(results, ensemble).record["members"])


def test_members_without_weight_are_not_run(results, ids, data):
    best = combined(results, *ids, search="best_single")
    rows = member(results, best).record["ensemble"]["members"]
    (run_id,) = (row["run_id"] for row in rows if row["weight"] > 0)
    assert require_answers_of_its_test(results, data, best)["networks"] == [run_id]


def test_heatmaps_are_of_one_network(results, ensemble, scan, tmp_path):
    answer = predict(results, ensemble, scan, "--heatmaps", tmp_path / "heat")
    assert answer.exit_code == 2
    assert f"Heatmaps are of one network, and {ensemble} has 2" in answer.stderr


def test_members_that_see_images_in_their_own_ways(results, ids, data):
    """Another size and another preprocessing, within an ensemble of which one is a member."""
    more = ("--data-root", data, "--weights", "none", *JUDGED, "--preprocessing", "equalize", "--crop", 1)
    network = ("--backbone", "timm/test_resnet", "--image-size", 48)
    other = run(results, *network, *more, backbone=None, dataset="csv:table=table.csv")
    assert other.exit_code == 0, other.stderr
    both = combined(results, ids[0], other.json["runs"][0]["run_id"])
    require_answers_of_its_test(results, data, both)
    require_answers_of_its_test(results, data, combined(results, both, ids[1]))


def test_a_run_that_averages_networks(results, data):
    more = ("--data-root", data, "--weights", "none", *JUDGED, "--set", "averaged=2", "--image-size", 32)
    done = run(results, *more, backbone=LIGHT, dataset="csv:table=table.csv")
    assert done.exit_code == 0, done.stderr
    run_id = done.json["runs"][0]["run_id"]
    assert require_answers_of_its_test(results, data, run_id)["networks"] == [run_id]
