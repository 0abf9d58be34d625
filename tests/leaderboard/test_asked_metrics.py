"""``leaderboard --metric``: figures that are asked for, worked out of stored predictions and ranked by."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import invoke
from sklearn.metrics import fbeta_score

from cxrbench.comparing.stored import StoredRun
from cxrbench.leaderboard.asked import asked_for, figures_of
from cxrbench.metrics.f_beta import FBeta
from cxrbench.plugins import installed
from cxrbench.records import read_record
from cxrbench.reporter import Reporter
from cxrbench.statistics.resamples import Resamples
from cxrbench.store import Store

FINDINGS = ("Atelectasis", "Effusion", "Mass")
METRICS = ("--metric", "f_beta:beta=0.5", "--metric", "expected_cost")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A store with scores of two models, half of the patients being tune."""
    folder = tmp_path_factory.mktemp("asked")
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(120), 2)
    ids = [f"{patient:05d}_{row:05d}.png" for row, patient in enumerate(patients)]
    labels = rng.random((len(ids), len(FINDINGS))) < (0.2, 0.3, 0.25)
    table = {"Image Index": ids, "Patient ID": patients}
    table["Finding Labels"] = ["|".join(np.compress(row, FINDINGS)) or "No Finding" for row in labels]
    more = {"Patient Age": 50, "Patient Gender": "M", "View Position": "PA"}
    pd.DataFrame(table | more).to_csv(folder / "labels.csv", index=False)
    for name, quality in (("good", 1.5), ("poor", 0.7)):
        scores = 1 / (1 + np.exp(1 - rng.normal(size=labels.shape) - quality * labels))
        frame = pd.DataFrame(scores, pd.Index(ids, name="Image Index"), list(FINDINGS))
        frame.to_csv(folder / f"{name}.csv")
    files = [folder / f"{name}.csv" for name in ("good", "poor")]
    options = ("--tune-from-test", "patients", "--thresholds", "f1", "--common-findings")
    done = invoke(
        "score", *files, "--labels", folder / "labels.csv", *options, "--results", folder / "results", "-q"
    )
    assert done.exit_code == 0, done.stderr
    return folder / "results"


def store_of(results):
    return Store(results, Reporter(quiet=True), create=False)


def test_columns_have_values_and_intervals_of_the_stored_predictions(results):
    answer = invoke("leaderboard", *METRICS, "--results", results, "--json")
    assert answer.exit_code == 0, answer.stderr
    (board,) = answer.json["boards"]
    assert [(each["name"], each["smaller"]) for each in board["asked"]] == [
        ("f_beta@beta=0.5", False),
        ("expected_cost", True),
    ]
    store = store_of(results)
    assert len(board["systems"]) == 2
    for system in board["systems"]:
        found = StoredRun(store, read_record(store.find_run(system["members"][0]["run_id"])))
        known = [k for k in range(found.labels.shape[1]) if (found.labels[:, k] == 1).any()]
        expected = np.mean(
            [fbeta_score(found.labels[:, k], found.decisions[:, k], beta=0.5, zero_division=0) for k in known]
        )
        figure = system["figures"]["f_beta@beta=0.5"]
        assert figure["value"] == pytest.approx(expected)
        assert figure["low"] <= figure["value"] <= figure["high"]


def test_replicates_are_of_the_resamples_that_every_figure_has(results):
    store = store_of(results)
    record = read_record(next(store.runs()))
    (asked,) = asked_for(["f_beta"], installed().registry)
    (estimate,) = figures_of(store, record, [asked]).values()
    found = StoredRun(store, record)
    assert estimate.seed == found.estimate("macro_f1").seed
    cohort = found.cohort
    resamples = Resamples(cohort.patients.to_numpy(), cohort.passport, 3)
    for place, times in enumerate(resamples.drawn(0)[resamples.rows].astype(int).T[:3]):
        rows = np.repeat(np.arange(len(times)), times)
        value = FBeta().value(cohort.labels[rows], np.empty((0, 0)), found.decisions[rows])
        assert estimate.replicates[place] == pytest.approx(value, rel=1e-6)


def test_systems_are_ranked_by_it_in_its_direction(results):
    answer = invoke("leaderboard", *METRICS, "--sort", "expected_cost", "--results", results, "--json")
    (board,) = answer.json["boards"]
    costs = [system["figures"]["expected_cost"]["value"] for system in board["systems"]]
    assert costs == sorted(costs)
    assert len(set(costs)) == 2
    # Differences are turned over, so that above 0 the first is the better.
    assert board["pairs"][0]["value"] == pytest.approx(costs[1] - costs[0])


def test_it_is_worked_out_once_and_is_garbage_to_the_store(results):
    assert invoke("leaderboard", "--metric", "log_loss", "--results", results).exit_code == 0
    kept = sorted((results / "artifacts" / "metric").iterdir())
    times = [path.stat().st_mtime_ns for path in kept]
    (results / "leaderboard").joinpath("macro_auc.json").unlink(missing_ok=True)
    assert invoke("leaderboard", "--metric", "log_loss", "--results", results).exit_code == 0
    assert [path.stat().st_mtime_ns for path in sorted((results / "artifacts" / "metric").iterdir())] == times
    assert invoke("verify", "--roles", "--results", results).exit_code == 0


def test_the_page_and_tables_show_it(open_page, results, tmp_path):
    out, table = tmp_path / "page.html", tmp_path / "table.csv"
    made = invoke("leaderboard", *METRICS, "--results", results, "--html", out, "--csv", table)
    assert made.exit_code == 0, made.stderr
    assert "expected_cost ↓" in made.stdout
    assert "f_beta@beta=0.5_low" in table.read_text().splitlines()[0]
    page = open_page(out)
    heads = page.locator("table.ranking").first.get_by_role("columnheader").all_inner_texts()
    assert any(head.startswith("f_beta@beta=0.5") for head in heads)
    page.locator("a[href^='#run-']").first.click()
    figures = page.locator("article.run:visible").get_by_role("table", name="Figures over all findings")
    row = figures.locator("tr", has_text="expected_cost (smaller is better)").locator("td").all_inner_texts()
    low, value, high = float(row[1]), float(row[0]), float(row[2])
    assert low <= value <= high


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--metric", "f_bta"), "did you mean f_beta"),
        (("--metric", "f_beta:gamma=1"), "has no option 'gamma'"),
        (("--sort", "log_loss"), "There is no metric to sort by 'log_loss'"),
    ],
)
def test_what_is_wrong_is_refused(results, arguments, part):
    refused = invoke("leaderboard", *arguments, "--results", results)
    assert refused.exit_code == 2
    assert part in " ".join(refused.stderr.split())


@pytest.mark.parametrize("lost", ["threshold/*/artifact.json", "evaluate/*/probabilities.parquet"])
def test_what_is_behind_a_run_may_be_lost(results, tmp_path, lost):
    store = tmp_path / "results"
    shutil.copytree(results, store, ignore=shutil.ignore_patterns("leaderboard", "metric"))
    for path in store.glob(f"artifacts/{lost}"):
        path.write_bytes(path.read_bytes()[:100])
    answer = invoke("leaderboard", "--metric", "f_beta", "--results", store, "--json")
    assert answer.exit_code == 0, answer.stderr
    (board,) = answer.json["boards"]
    assert board["errors"] is None
    assert [system["figures"]["f_beta"]["value"] for system in board["systems"]] == [None, None]
    assert all(system["figures"]["macro_auc"]["value"] > 0.5 for system in board["systems"])


def test_boards_without_it_are_as_before(results):
    plain = json.loads(invoke("leaderboard", "--results", results, "--json").stdout)
    assert plain["boards"][0]["asked"] == []
    assert "f_beta@beta=0.5" not in plain["boards"][0]["systems"][0]["figures"]
