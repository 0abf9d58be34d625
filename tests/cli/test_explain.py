"""``cxrbench explain`` on small runs: scores, boxes, layers, controls, sanity, the page in a browser."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import PIXELS, invoke, run, tree

from cxrbench.datasets.phantom import Phantom


@pytest.fixture(scope="module")
def results(begun, tmp_path_factory):
    results = begun(tmp_path_factory.mktemp("explain") / "results")
    done = run(results, *PIXELS, "--calibrator", "platt", "--set", "min_positives=2", backbone=None)
    assert done.exit_code == 0, done.stderr
    config = results.parent / "averaged.toml"
    config.write_text(
        'backbone = "timm/test_resnet"\nhead = "transition:channels=8"\nresizer = "learnable:side=40"\n'
        "image_size = 32\naveraged = 2\n"
    )
    done = run(results, "--config", config, "--epochs", 1, backbone=None)
    assert done.exit_code == 0, done.stderr
    return results


@pytest.fixture(scope="module")
def ids(results):
    """The runs: a plain network; two averaged ones with head and resizer; one that sees no images."""
    names = sorted(path.name for path in (results / "runs").iterdir())
    light = next(name for name in names if "densenet" in name)
    plain = next(name for name in names if "platt" in name)
    (averaged,) = set(names) - {light, plain}
    return plain, averaged, light


@pytest.fixture(scope="module")
def out(results):
    return results.parent / "out"


@pytest.fixture(scope="module")
def scored(results, ids, out):
    answer = invoke(
        "explain",
        *ids[:2],
        "--boxes",
        "--show",
        2,
        "--activations",
        "layer1",
        "--results",
        results,
        "--out",
        out,
        "--json",
    )
    assert answer.exit_code == 0, answer.stderr
    return answer


def explain(results, *arguments):
    return invoke("explain", *arguments, "--results", results, "--out", results.parent / "other", "--json")


def test_the_table_has_every_kind_of_map_finding_and_metric(scored, out, ids):
    table = pd.read_csv(out / "localisation.csv")
    assert set(table["run"]) == set(ids[:2])
    assert set(table["maps"]) == {"network", "random", "centre", "place", "ceiling"}
    metrics = {
        f"{name}_{limit}" for name in ("iobb", "iou") for limit in (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
    }
    assert set(table["metric"]) == metrics | {"mean_iou", "pointing", "energy"}
    counted = table[table["metric"] == "iobb_0.1"].groupby(["run", "maps", "finding"]).size()
    assert (counted == 1).all()
    known = table.dropna(subset=["low"])
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert (known["high"] >= known["value"] - 1e-9).all()
    differences = pd.read_csv(out / "localisation_differences.csv")
    assert set(differences["less"]) == {"random", "centre", "place"}
    for row in scored.json["runs"]:
        assert row["localisation"]["pairs"] == 85
        assert set(row["localisation"]["tune_pairs"]) == set(table["finding"]) - {"mean of findings"}


def test_pairs_are_the_boxes_of_test(out):
    collection = Phantom(train_val=240, test=80).read(None)
    test = set(collection.manifest.index[collection.manifest["official"] == "test"])
    boxes = collection.boxes[collection.boxes["image_id"].isin(test)]
    expected = boxes.drop_duplicates(["image_id", "finding"])["finding"].value_counts()
    table = pd.read_csv(out / "localisation.csv")
    rows = table[(table["metric"] == "mean_iou") & (table["maps"] == "network")]
    for _, group in rows[rows["finding"] != "mean of findings"].groupby("run"):
        assert group.set_index("finding")["pairs"].to_dict() == expected.to_dict()


def test_scores_are_the_runs_own(scored, results, out, ids):
    """Probabilities and thresholds of shown test images are those that the run was evaluated on."""
    from cxrbench.comparing.stored import StoredRun
    from cxrbench.records import read_record
    from cxrbench.reporter import Reporter
    from cxrbench.store import Store

    scores = pd.read_csv(out / "scores.csv")
    store = Store(results, Reporter(quiet=True))
    for name in ids[:2]:
        stored = StoredRun(store, read_record(store.find_run(name)))
        own = scores[scores["run"] == name].pivot(index="image_id", columns="finding", values="probability")
        expected = stored.probabilities.loc[own.index, own.columns]
        np.testing.assert_allclose(own, expected, atol=1e-5)
        thresholds = {row["finding"]: row["threshold"] for row in stored.record["per_finding"]}
        for row in scores[scores["run"] == name].itertuples():
            if thresholds[row.finding] is not None:
                assert row.threshold == pytest.approx(thresholds[row.finding], abs=1e-5)
    assert set(scores["label"]) <= {0, 1}
    assert scores["image_id"].nunique() == 2


def test_maps_are_kept_and_not_made_again(results, ids, scored, tmp_path):
    before = tree(results)
    again = invoke(
        "explain", *ids[:2], "--boxes", "--show", 2, "--results", results, "--out", tmp_path, "--json"
    )
    assert {**again.json, "path": 0, "files": 0} == {**scored.json, "path": 0, "files": 0}
    added = {name for name in tree(results).keys() - before.keys() if name.startswith("artifacts/")}
    assert added == set()


@pytest.mark.slow
def test_other_maps_for_another_layer_or_explainer(results, ids, scored):
    layers = {}
    for arguments in ([], ["--layer", "layer2"], ["--explainer", "layercam", "--layer", "layer2"]):
        answer = explain(results, ids[0], "--boxes", "--show", 0, *arguments)
        (row,) = answer.json["runs"]
        layers[tuple(arguments)] = (
            row["layer"],
            row["grid"],
            row["localisation"]["means"]["network"]["mean_iou"],
        )
    assert [each[0] for each in layers.values()] == ["layer3", "layer2", "layer2"]
    assert [each[1] for each in layers.values()] == [[2, 2], [4, 4], [4, 4]]
    assert len({each[2]["value"] for each in layers.values()}) == 3


def test_maps_change_with_the_weights(scored):
    """Adebayo et al. 2018: with random weights the maps are others."""
    for row in scored.json["runs"]:
        assert set(row["sanity"]) == {"last", "all"}
        for check in row["sanity"].values():
            assert check["rank_correlation"] < 0.6


def test_maps_that_do_not_look_at_the_class_fail_the_sanity_check(results, ids, scored):
    """EigenCAM does not look at the last layer: random weights there change nothing, and that is said."""
    (row,) = explain(results, ids[0], "--boxes", "--explainer", "eigencam", "--show", 0).json["runs"]
    assert row["sanity"]["last"]["rank_correlation"] == pytest.approx(1)
    assert row["sanity"]["all"]["rank_correlation"] < 0.9


def test_images_of_any_role_by_name(results, ids):
    names = {role: next(iter(role_images(results, role))) for role in ("train", "tune", "test")}
    answer = explain(results, *ids[:2], "--images", ",".join(names.values()), "--findings", "Mass,Hernia")
    assert answer.exit_code == 0, answer.stderr
    shown = answer.json["images"]
    assert [(each["image_id"], each["role"]) for each in shown] == [(v, k) for k, v in names.items()]
    assert all(each["findings"] == ["Mass", "Hernia"] for each in shown)
    assert all("localisation" not in row for row in answer.json["runs"])
    folder = results.parent / "other"
    assert len(list(folder.glob("00*.png"))) == 3


def role_images(results, role):
    (path,) = results.glob("artifacts/manifest/*/manifest.parquet")
    table = pd.read_parquet(path)
    return table["image_id"][table["role"] == role]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "either --images ID,… or --boxes"),
        (["--images", "x", "--boxes"], "either --images ID,… or --boxes"),
        (["--images", "nobody"], "nobody is no image of"),
        (["--boxes", "--layer", "layer9"], "no layer 'layer9'"),
        (["--boxes", "--findings", "Fracture"], "'Fracture' is no class"),
        (["--boxes", "--explainer", "gradcan"], "There is no explainer 'gradcan'; did you mean gradcam"),
        (["--boxes", "--explainer", "gradcam:depth=3"], "depth"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_written(results, ids, arguments, said, tmp_path):
    out = tmp_path / "out"
    answer = invoke("explain", ids[0], *arguments, "--results", results, "--out", out)
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert not out.exists()


def test_what_is_called_is_the_runs_decision_where_no_threshold_makes_it(tmp_path):
    """Where one class is right, no class has a threshold, and the most probable one is called."""
    done = run(tmp_path / "results", *PIXELS, "--task", "single_label", "--epochs", 1, backbone=None)
    assert done.exit_code == 0, done.stderr
    chosen = list(role_images(tmp_path / "results", "test"))[:3]
    out = ("--results", tmp_path / "results", "--out", tmp_path / "out", "--json")
    answer = invoke("explain", done.json["runs"][0]["run_id"], "--images", ",".join(chosen), *out)
    assert answer.exit_code == 0, answer.stderr
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert set(scores["image_id"]) == set(chosen)
    assert scores["threshold"].isna().all()
    for _, rows in scores.groupby("image_id"):
        assert rows["called"].sum() == 1
        assert rows["called"].idxmax() == rows["probability"].idxmax()


def test_a_network_that_sees_no_images_is_refused(results, ids):
    answer = explain(results, ids[2], "--boxes")
    assert answer.exit_code == 2
    assert "sees no images" in answer.stderr


def test_scored_runs_have_no_network(tmp_path):
    from entrants import Hospital, enter, store_at

    store = store_at(tmp_path / "results")
    enter(store, Hospital("hospital", patients=60), "theirs", 1.6, (0,), source="scored")
    (name,) = store.run_names()
    answer = invoke("explain", name, "--boxes", "--results", store.root, "--out", tmp_path / "out")
    assert answer.exit_code == 2
    assert "has no network" in answer.stderr


def test_the_page_in_a_browser(scored, out, open_page, ids):
    page = open_page(out / "heatmaps.html")
    means = page.get_by_role("table", name="Means over findings").first
    assert means.locator("tbody tr").count() == 5
    images = page.locator("#images img")
    assert images.count() == 4  # two images, each with its activations
    widths = images.evaluate_all("all => all.map(image => image.naturalWidth)")
    assert all(width > 300 for width in widths)
    assert page.get_by_text(re.compile("Rank correlation of maps")).count() == 2
    by_finding = page.get_by_role("table", name=re.compile("^Share of boxes")).first
    head = by_finding.get_by_role("columnheader", name=re.compile("^network"))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"


def test_boxes_of_test_are_read_for_evaluation_alone(results, ids, scored):
    lines = (results / "label_reads.jsonl").read_text().splitlines()
    reads = [json.loads(line) for line in lines if '"explain/' in line]
    assert {(read["role"], read["purpose"]) for read in reads} >= {("test", "evaluate"), ("tune", "fit")}
    assert all(read["purpose"] == "evaluate" for read in reads if read["role"] == "test")
    assert invoke("verify", "--roles", "--results", results).exit_code == 0


def test_a_runs_page_shows_what_was_last_explained(results, ids, open_page, tmp_path):
    last = explain(results, *ids[:2], "--boxes", "--show", 2)
    assert last.exit_code == 0, last.stderr
    out = tmp_path / "leaderboard.html"
    assert invoke("leaderboard", "--results", results, "--html", out).exit_code == 0
    page = open_page(out, viewport={"width": 1000, "height": 800})
    told = {each["run_id"]: each for each in last.json["runs"]}
    for run_id in ids[:2]:
        page.goto(page.url.split("#")[0] + f"#run-{run_id}")
        run = page.locator("article.run:visible")
        pictures = run.locator(".look img")
        assert pictures.count() == 2
        assert pictures.evaluate_all("all => all.every(each => each.naturalWidth > 200)")
        means = run.get_by_role("table", name="Means over findings", exact=True)
        value = told[run_id]["localisation"]["means"]["network"]["iobb_0.1"]["value"]
        row = means.locator("tbody tr", has_text="network")
        assert row.locator("td").first.inner_text() == f"{value:.3f}"
        assert page.evaluate("document.documentElement.scrollWidth") <= 1000


def test_a_run_that_was_not_explained_says_how(results, ids, open_page, tmp_path):
    store = tmp_path / "results"
    shutil.copytree(results, store)
    shutil.rmtree(store / "explanations", ignore_errors=True)
    out = tmp_path / "leaderboard.html"
    assert invoke("leaderboard", "--results", store, "--html", out).exit_code == 0
    page = open_page(out)
    page.goto(page.url + f"#run-{ids[0]}")
    shown = page.locator("article.run:visible").inner_text()
    assert f"cxrbench explain {ids[0]} --boxes" in shown
    assert f"cxrbench latency {ids[0]}" in shown
