"""``cxrbench errors``: its answers, files and refusals, and the page in a real browser."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import PIXELS, invoke, run

from cxrbench.files import read_json
from cxrbench.matrices import read_matrix

OLD = Path(__file__).parent.parent / "fixtures" / "store_v1"
SCRIPT = "<script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    """A store of two runs whose images are drawn, and the analysis of both."""
    results = tmp_path_factory.mktemp("errors") / "results"
    made = run(results, *PIXELS, "--epochs", 1, "--seed", "0,1", backbone=None)
    ids = [each["run_id"] for each in made.json["runs"]]
    answer = invoke("errors", *ids, "--results", results, "--json", "--images", 2)
    assert answer.exit_code == 0, answer.stderr
    return results, ids, answer.json


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Three systems on one test set; one on other images; one on other labels."""
    folder = tmp_path_factory.mktemp("scored")
    random = np.random.default_rng(1)
    labels = (random.random((300, 2)) < 0.4).astype(float)
    shared = random.normal(size=labels.shape)
    ids = np.array([f"{row:03}.png" for row in range(300)])
    corrected = labels.copy()
    corrected[5, 1] = 1 - corrected[5, 1]
    kinds = {"good": (2.0, labels), "bad": (0.3, labels), "third": (1.0, labels), "other": (1.0, corrected)}
    names = {}
    for name, (skill, truth) in kinds.items():
        logits = skill * labels + shared + 0.3 * random.normal(size=labels.shape)
        np.savez(folder / f"{name}.npz", logits=logits, labels=truth, patients=np.arange(300) // 2, ids=ids)
    np.savez(
        folder / "fewer.npz",
        logits=shared[:200],
        labels=labels[:200],
        patients=np.arange(200) // 2,
        ids=ids[:200],
    )
    for name in (*kinds, "fewer"):
        options = ("--classes", f"Mass,{SCRIPT}", "--results", folder / "results")
        assert invoke("score", folder / f"{name}.npz", *options, "-q").exit_code == 0
    for path in (folder / "results").glob("runs/*"):
        names[path.name.split("-")[1]] = path.name
    return folder / "results", names


def test_the_document_has_the_counts_of_the_stored_decisions(phantom):
    results, ids, document = phantom
    assert [each["run_id"] for each in document["runs"]] == ids
    assert [each["letter"] for each in document["runs"]] == ["A", "B"]
    folders = [results / read_json(results / "runs" / each / "run.json")["evaluation"] for each in ids]
    decisions = [pd.read_parquet(folder / "decisions.parquet").set_index("image_id") for folder in folders]
    (labels,) = (
        path
        for path in results.glob("artifacts/labels/*/labels.parquet")
        if len(read_matrix(path)) == len(decisions[0])
        and pd.read_parquet(path)["image_id"].tolist() == decisions[0].index.tolist()
    )
    truth = pd.read_parquet(labels).set_index("image_id")
    right = [(each == truth) | each.isna() | decisions[1 - k].isna() for k, each in enumerate(decisions)]
    whole = document["counts"][0]
    assert whole["of"] == "images"
    assert whole["all_right"] == int((right[0].all(axis=1) & right[1].all(axis=1)).sum())
    by_run = {(row["of"], row["run"]): row for row in document["by_run"]}
    only_a = ~right[0].all(axis=1) & right[1].all(axis=1)
    assert by_run["images", ids[0]]["only_wrong"] == only_a.sum()
    assert document["images_shown"]
    errors = pd.read_csv(Path(document["path"]).parent / "errors.csv")
    assert errors["wrong_runs"].sum() == sum(int((~each).to_numpy().sum()) for each in right)


def test_files_are_written_into_the_store_or_where_asked(phantom, tmp_path):
    results, ids, document = phantom
    assert Path(document["path"]).parent.parent == results / "errors"
    assert all(Path(path).stat().st_size for path in document["files"])
    answer = invoke("errors", ids[0], "--results", results, "--out", tmp_path / "one", "--format", "svg")
    assert answer.exit_code == 0
    assert "need two runs" in answer.stdout
    assert "need two runs" in (tmp_path / "one" / "errors.html").read_text()
    assert sorted(path.name for path in (tmp_path / "one").glob("*.svg")) == ["slices.svg"]
    names = {"agreement", "by_run", "confusions", "counts", "errors", "hardest", "label_errors", "overlap"}
    assert {path.stem for path in (tmp_path / "one").glob("*.csv")} == names | {"slices"}


def test_the_reading_of_test_labels_is_logged(phantom):
    results, ids, _ = phantom
    lines = (results / "label_reads.jsonl").read_text().splitlines()
    assert any(f'"errors/{ids[0]}"' in line and '"evaluate"' in line for line in lines)
    assert invoke("verify", "--roles", "--results", results).exit_code == 0


def test_the_page_shows_images_by_class(open_page, phantom):
    _, _, document = phantom
    page = open_page(Path(document["path"]), viewport={"width": 1200, "height": 900})
    assert page.title() == "phantom (drawn images, not patients)"
    counts = page.get_by_role("table", name="What all runs get right and wrong")
    assert counts.locator("tbody tr").count() == 16
    heads = counts.locator("thead th").all_inner_texts()
    cells = counts.locator("tbody tr").first.locator("th, td").all_inner_texts()
    assert cells[heads.index("all right")] == f"{document['counts'][0]['all_right']:,}"
    alone = next(row for row in document["by_run"] if row["of"] == "images")["only_wrong"]
    assert cells[heads.index("only A wrong")] == f"{alone:,.0f}"
    sets = page.locator("#overlap tbody tr")
    told = [row for row in document["overlap"] if row["of"] == "decisions"]
    assert sets.locator("td.number").all_inner_texts() == [f"{row['units']:,}" for row in told[:16]]
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    images = page.locator(".picture img")
    assert images.count() > 40
    assert images.evaluate_all("all => all.every(each => each.complete && each.naturalWidth > 50)")
    heading = page.locator("#images h4", has_text=re.compile("^Missed by all: ")).first
    assert heading.count() == 1
    # At most two of each class and outcome, as asked.
    assert page.locator("#images .pictures").evaluate_all(
        "all => all.every(each => each.children.length <= 2)"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


def test_scores_alone_have_no_images_and_it_is_said(open_page, scored, tmp_path):
    results, names = scored
    three = [names[name] for name in ("good", "bad", "third")]
    answer = invoke("errors", *three, "--results", results, "--out", tmp_path, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert not answer.json["images_shown"]
    assert len(answer.json["agreement"]) == 4 * 3
    page = open_page(tmp_path / "errors.html")
    assert "scores alone" in page.locator(".notes").inner_text()
    assert page.locator(".picture img").count() == 0
    assert page.locator(".picture.bare").count() > 10
    # Names are text, whatever they hold.
    assert "broken" not in page.title()
    assert page.get_by_text(SCRIPT).count() > 0
    kappas = page.get_by_role("table", name=re.compile("kappa of each two runs"))
    shown = kappas.locator("tbody td[title]").all_inner_texts()
    found = [row["cohen_kappa"] for row in answer.json["agreement"] if row["of"] == "decisions"]
    assert sorted({text.split()[0] for text in shown}) == sorted({f"{each:.3f}" for each in found})


def test_runs_of_other_test_sets_are_refused_with_what_differs(scored):
    results, names = scored
    for other, why in (
        ("fewer", "100 images only the first has, such as 200.png"),
        ("other", f"1 labels of 1 images differ; the first is {SCRIPT} of 005.png"),
    ):
        refused = invoke("errors", names["good"], names[other], "--results", results)
        assert refused.exit_code == 2
        assert why in " ".join(refused.stderr.split())
    twice = invoke("errors", names["good"], names["good"], "--results", results)
    assert twice.exit_code == 2
    assert "named twice" in twice.stderr


def test_runs_of_an_old_store_are_analysed_too(tmp_path):
    results = tmp_path / "results"
    shutil.copytree(OLD, results)
    runs = sorted(path.name for path in results.glob("runs/*"))
    answer = invoke("errors", *runs, "--results", results, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["images"] == answer.json["counts"][0]["units"]
