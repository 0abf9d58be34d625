"""Components that are known to fail a check, in every command that makes something: refused, or said so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PIXELS, Answer, invoke, run
from PIL import Image

from cxrbench.conformance.verdicts import remember
from cxrbench.datasets.phantom import Phantom
from cxrbench.latency.record import records_of
from cxrbench.leaderboard.latencies import latencies
from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.store import Store

POOR = {
    "runtime": ("runtimes", "cxrbench.runtimes.eager:Eager"),
    "explainer": ("explainers", "cxrbench.explainers.cams:GradCam"),
    "metric": ("metrics", "cxrbench.metrics.f_beta:FBeta"),
    "loss": ("losses", "cxrbench.losses.bce:Bce"),
    "head": ("heads", "cxrbench.heads.dense:DenseHead"),
    "calibrator": ("calibrators", "cxrbench.calibrators.temperature:Temperature"),
}
"""What the plugin registers as ``poor``, all of it sound: verdicts say what is known, not what is."""

CPU = ("--device", "cpu")
QUICK = ("--samples", 30, "--seconds", 0.2, "--no-split")
RECIPE = """
dataset = "phantom:train_val=240,test=80"
backbone = "densenet_fpn:use=patient"
loss = "{loss}"

[training]
precision = "fp32"

[search]
budget = 1
trials = 1

[search.space]
{space}
"""
RATES = "training.learning_rate = { choices = [1e-3, 1e-2] }"


@pytest.fixture(scope="module", autouse=True)
def poor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A plugin all of whose components are known to fail a check."""
    site = tmp_path_factory.mktemp("site")
    hooks = (
        f'@hookimpl\ndef register_{plural}(register):\n    register("poor", "{target}", version="1", '
        'summary="a test\'s")\n'
        for plural, target in POOR.values()
    )
    (site / "poor_plugin.py").write_text("from cxrbench.hookspecs import hookimpl\n" + "".join(hooks))
    info = site / "cxrbench_poor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cxrbench-poor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cxrbench.v1]\npoor = poor_plugin\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        patch.setenv("XDG_CACHE_HOME", str(site / "cache"))
        installed.cache_clear()
        for kind in POOR:
            remember(installed().registry.find(kind, "poor"), {}, ["repeats_itself"])  # type: ignore[arg-type]
        yield
    installed.cache_clear()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of components of cxrbench, and one with a calibrator that is known to fail."""
    results = tmp_path_factory.mktemp("marks") / "results"
    assert run(results, *PIXELS, *CPU, "--epochs", 1, backbone=None).exit_code == 0
    more = ("--calibrator", "poor", "--allow-nonconforming")
    assert run(results, *PIXELS, *CPU, "--epochs", 1, *more, backbone=None).exit_code == 0
    return results


@pytest.fixture(scope="module")
def ids(results: Path) -> tuple[str, str]:
    """The sound run, and the other one."""
    names = sorted(path.name for path in (results / "runs").iterdir())
    poor = next(name for name in names if "-poor-" in name)
    return next(name for name in names if name != poor), poor


@pytest.fixture
def image(tmp_path: Path) -> Path:
    phantom = Phantom(train_val=80, test=24)
    name = phantom.read(None).manifest.index[0]
    path = tmp_path / "image.png"
    Image.fromarray(phantom.pixels(None, name, 64)).save(path)
    return path


def recipe(folder: Path, *, loss: str = "bce", space: str = RATES) -> Path:
    path = folder / "search.toml"
    path.write_text(RECIPE.format(loss=loss, space=space))
    return path


def clause(kind: str) -> str:
    return f"the {kind} 'poor' failed repeats_itself"


def refused(answer: Answer, kind: str) -> None:
    said = " ".join(answer.stderr.split())
    assert answer.exit_code == 2, said
    assert f"The {kind} 'poor' of cxrbench-poor 1.0 failed repeats_itself when last checked" in said
    assert "--allow-nonconforming" in said
    assert answer.stdout == ""


def test_what_is_named_is_refused(results: Path, ids: tuple[str, str], image: Path, tmp_path: Path) -> None:
    store, (sound, _) = ("--results", results), ids
    lines: dict[str, tuple[object, ...]] = {
        "runtime": ("latency", sound, "--runtimes", "poor", *CPU),
        "metric": ("leaderboard", "--metric", "poor"),
    }
    for kind, line in lines.items():
        refused(invoke(*line, *store), kind)
    shown = ("--images", next(iter(Phantom(train_val=240, test=80).read(None).manifest.index)))
    explain = ("explain", sound, *shown, "--explainer", "poor", "--out", tmp_path / "out", *CPU)
    refused(invoke(*explain, *store), "explainer")
    predict = ("predict", sound, image, "--heatmaps", tmp_path / "maps", "--explainer", "poor", *CPU)
    refused(invoke(*predict, *store), "explainer")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("kind", "given"),
    [("loss", {"loss": "poor"}), ("head", {"space": 'head = { choices = ["own", "poor"] }'})],
)
def test_a_search_with_it_is_refused_before_any_trial(tmp_path: Path, kind: str, given: Any) -> None:
    store = tmp_path / "results"
    refused(invoke("tune", recipe(tmp_path, **given), *CPU, "--results", store), kind)
    assert not (store / "tuning").exists()


def test_a_run_with_it_is_not_used_without_being_told_to(
    results: Path, ids: tuple[str, str], image: Path, tmp_path: Path
) -> None:
    store, (_, poor) = ("--results", results), ids
    refused(invoke("predict", poor, image, *CPU, *store), "calibrator")
    export = ("export", poor, "--to", "exported-program", "--out", tmp_path / "out", *store)
    refused(invoke(*export), "calibrator")
    # What only looks refuses nothing.
    assert invoke("show", poor, *store).exit_code == 0

    done = invoke("predict", poor, image, *CPU, *store, "--allow-nonconforming", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["nonconforming"] == [clause("calibrator")]
    done = invoke(*export, "--allow-nonconforming")
    assert done.exit_code == 0, done.stderr
    assert f"NOT CONFORMING: {clause('calibrator')}" in done.stdout
    assert f"Not conforming: {clause('calibrator')}." in (tmp_path / "out/MODEL_CARD.md").read_text()


def test_heatmaps_made_with_it_say_so(results: Path, ids: tuple[str, str], tmp_path: Path) -> None:
    store, (sound, _) = ("--results", results), ids
    shown = ("--images", next(iter(Phantom(train_val=240, test=80).read(None).manifest.index)))
    line = ("explain", sound, *shown, "--explainer", "poor", "--out", tmp_path / "out", *CPU, *store)
    done = invoke(*line, "--allow-nonconforming", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["runs"][0]["nonconforming"] == [clause("explainer")]
    # Maps that are in the store are no way round.
    refused(invoke(*line), "explainer")
    assert f"NOT CONFORMING: {clause('explainer')}" in invoke(*line, "--allow-nonconforming").stdout
    told = "Not conforming: the explainer &#39;poor&#39; failed repeats_itself."
    assert told in (tmp_path / "out/heatmaps.html").read_text()
    page = tmp_path / "board.html"
    assert invoke("leaderboard", "--html", page, *store).exit_code == 0
    assert told in page.read_text()
    # The mark belongs to what was made, and goes with it.
    assert invoke(*line[:2], *shown, "--out", tmp_path / "out", *CPU, *store).exit_code == 0
    assert invoke("leaderboard", "--html", page, *store).exit_code == 0
    assert told not in page.read_text()


def test_pictures_of_predict_made_with_it_say_so(
    results: Path, ids: tuple[str, str], image: Path, tmp_path: Path
) -> None:
    line = ("predict", ids[0], image, "--heatmaps", tmp_path / "maps", "--explainer", "poor", *CPU)
    done = invoke(*line, "--results", results, "--allow-nonconforming")
    assert done.exit_code == 0, done.stderr
    assert f"NOT CONFORMING: {clause('explainer')}" in done.stdout


def test_a_board_with_it_says_so(results: Path, tmp_path: Path) -> None:
    store, page = ("--results", results), tmp_path / "board.md"
    line = ("leaderboard", "--metric", "poor", "--columns", "macro_auc,poor", "--md", page, *store)
    assert invoke(*line, "--allow-nonconforming").exit_code == 0
    told = f"Not conforming: {clause('metric')}."
    assert told in page.read_text()
    # A board is kept; of a metric that was mended since, it says nothing.
    metric = installed().registry.find("metric", "poor")
    remember(metric, {}, [])
    assert invoke(*line).exit_code == 0
    assert told not in page.read_text()
    remember(metric, {}, ["repeats_itself"])


def test_a_search_with_it_says_so(tmp_path: Path) -> None:
    store = tmp_path / "results"
    line = ("tune", recipe(tmp_path, loss="poor"), *CPU, "--results", store, "--allow-nonconforming")
    done = invoke(*line, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["best"]["nonconforming"] == [clause("loss")]
    assert f"NOT CONFORMING: {clause('loss')}" in invoke(*line).stdout
    folder = store / "tuning/search"
    assert f"# NOT CONFORMING: {clause('loss')}\n" in (folder / "best.toml").read_text()
    assert clause("loss") in (folder / "trials.csv").read_text()


def test_auto_leaves_it_out_and_says_why() -> None:
    from cxrbench.latency.choice import choices

    registry = installed().registry
    for only_conforming in (True, False):
        registry.only_conforming = only_conforming
        found = choices("eager,auto", ["fp32"], "cpu", registry)
        (skipped,) = (choice.skipped for choice in found if choice.runtime.name == "poor")
        assert skipped.startswith("it failed repeats_itself when last checked") == only_conforming


@pytest.mark.slow
def test_latencies_of_it_say_so(results: Path, ids: tuple[str, str], tmp_path: Path) -> None:
    store = ("--results", results)
    line = ("latency", ids[0], "--runtimes", "poor", *QUICK, *CPU, *store, "--allow-nonconforming")
    done = invoke(*line, "--json")
    assert done.exit_code == 0, done.stderr
    assert [row["nonconforming"] for row in done.json] == [[clause("runtime")]]
    assert f"NOT CONFORMING: {clause('runtime')}" in invoke(*line).stdout
    record = json.loads((results / "runs" / ids[0] / "run.json").read_text())
    kept = records_of(Store(results, Reporter(quiet=True)), record["training"])
    assert {tuple(each.nonconforming) for each in kept} == {(clause("runtime"),)}
    page = tmp_path / "board.html"
    assert invoke("leaderboard", "--html", page, *store).exit_code == 0
    assert "not conforming: the runtime &#39;poor&#39; failed repeats_itself" in page.read_text()
    note = latencies(Store(results, Reporter(quiet=True)), [record]).note
    assert note.endswith(f" Not conforming: {clause('runtime')}.")
