"""``cxrbench ensemble``: runs become one, fitted on tune and judged beside what it must beat."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import invoke
from sklearn.metrics import roc_auc_score

from cxrbench.predictions import Predictions

FINDINGS = ("Atelectasis", "Effusion", "Mass")
QUALITY = {"one": 0.8, "two": 1.0, "three": 1.2, "useless": 0.0}
PATIENTS, EACH = 200, 3
SEARCH = "genetic:population=20,generations=10,restarts=2"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Scores of four models, one of which knows nothing, and NIH's table of labels."""
    folder = tmp_path_factory.mktemp("scores")
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(PATIENTS), EACH)
    ids = [f"{patient:05d}_{row:05d}.png" for row, patient in enumerate(patients)]
    labels = rng.random((len(ids), len(FINDINGS))) < (0.2, 0.3, 0.25)
    table = pd.DataFrame(
        {
            "Image Index": ids,
            "Finding Labels": ["|".join(np.compress(row, FINDINGS)) or "No Finding" for row in labels],
            "Patient ID": patients,
            "Patient Age": 50,
            "Patient Gender": "M",
            "View Position": "PA",
        }
    )
    table.to_csv(folder / "labels.csv", index=False)
    for name, quality in QUALITY.items():
        logits = rng.normal(size=labels.shape) + quality * labels - 1
        scores = pd.DataFrame(1 / (1 + np.exp(-logits)), index=ids, columns=list(FINDINGS))
        scores.rename_axis("Image Index").to_csv(folder / f"{name}.csv")
    return folder


@pytest.fixture(scope="module")
def results(files, tmp_path_factory):
    """A store with a run of each model, half of the patients being tune."""
    results = tmp_path_factory.mktemp("results")
    score(files, results, *QUALITY)
    return results


def score(files, results, *names, labels="labels.csv", more=()):
    given = [files / f"{name}.csv" for name in names]
    options = ("--tune-from-test", "patients", "--thresholds", "f1", "--common-findings", *more)
    answer = invoke(
        "score", *given, "--labels", files / labels, *options, "--results", results, "--json", "-q"
    )
    assert answer.exit_code == 0, answer.stderr


def run_of(results, name):
    (found,) = (path.name for path in (results / "runs").glob(f"scored-{name}-*"))
    return found


def ensemble(results, *names, search=SEARCH, more=()):
    runs = [f"scored-{name}-" for name in names]
    return invoke("ensemble", *runs, "--search", search, *more, "--results", results, "--json")


@pytest.fixture(scope="module")
def answer(results):
    """What the command says of all four models, and of the same command again."""
    first, again = ensemble(results, *QUALITY), ensemble(results, *QUALITY)
    assert first.exit_code == again.exit_code == 0, first.stderr
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert "already done, nothing to do" in again.stderr
    return json.loads(first.stdout)


@pytest.fixture(scope="module")
def record(results, answer):
    return json.loads((results / "runs" / answer["run_id"] / "run.json").read_text())


def test_the_answer_has_weights_values_and_baselines(results, answer):
    assert answer["search"] == "genetic"
    assert sorted(answer["weights"]) == sorted(run_of(results, name) for name in QUALITY)
    assert sum(answer["weights"].values()) == pytest.approx(1)
    assert answer["weights"][run_of(results, "useless")] == min(answer["weights"].values())
    assert sorted(answer["baselines"]) == ["average", "best_single", "greedy"]
    for told in (answer, *answer["baselines"].values()):
        for figure in ("macro_f1", "macro_auc"):
            test = told["test"][figure]
            assert test["low"] < test["value"] < test["high"]
            assert 0 < told["cross_fitted"][figure] < 1
        # Thresholds are fitted on what they are judged on here, and not where they are cross-fitted.
        assert told["tune"]["macro_f1"] > told["cross_fitted"]["macro_f1"]
    assert answer["tune"]["macro_f1"] >= answer["baselines"]["average"]["tune"]["macro_f1"]
    alone = answer["baselines"]["best_single"]["weights"]
    assert alone[run_of(results, "three")] == 1
    assert answer["seconds"] > 0


def test_its_predictions_are_the_weighted_average(files, results, answer, record):
    (step,) = (each for each in record["artifacts"] if each.startswith("combine/"))
    found = results / "artifacts" / step
    logits = Predictions.read(found / "predictions.parquet").table
    expected = sum(
        answer["weights"][run_of(results, name)]
        * pd.read_csv(files / f"{name}.csv", index_col=0).loc[logits.index]
        for name in QUALITY
    )
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), expected[list(logits.columns)], atol=1e-5)
    table = pd.read_csv(files / "labels.csv", index_col=0)["Finding Labels"].loc[logits.index]
    aucs = [roc_auc_score(table.str.contains(name), expected[name]) for name in logits.columns]
    assert answer["test"]["macro_auc"]["value"] == pytest.approx(np.mean(aucs), abs=1e-4)


def test_differences_are_those_that_compare_finds(results, answer):
    runs = (run_of(results, "three"), answer["run_id"])
    compared = json.loads(invoke("compare", *runs, "--results", results, "--json").stdout)["comparisons"][0]
    rows = {row["figure"]: row for row in compared["overall"]}
    for figure in ("macro_f1", "macro_auc"):
        gap = answer["baselines"]["best_single"]["difference"][figure]
        # A member's own thresholds are fitted on its own scores, as are the baseline's.
        assert gap["value"] == pytest.approx(rows[figure]["value"], abs=0.01)
        assert gap["low"] < gap["value"] < gap["high"]


def test_a_member_is_worth_what_the_others_lack(answer, record):
    rows = {row["name"]: row for row in record["ensemble"]["members"]}
    assert rows["three"]["lost_on_tune"] > 0
    assert rows["three"]["lost_auc"]["value"] > rows["useless"]["lost_auc"]["value"]
    assert abs(rows["useless"]["lost_auc"]["value"]) < 0.02
    for row in rows.values():
        assert row["lowest"] <= row["weight"] <= row["highest"]


def test_it_stands_on_the_leaderboard_of_its_members(results, answer, record):
    member = json.loads((results / "runs" / run_of(results, "one") / "run.json").read_text())
    assert record["passport"]["id"] == member["passport"]["id"]
    assert record["source"] == "ensemble"
    board = invoke("leaderboard", "--results", results, "--json")
    assert board.exit_code == 0, board.stderr
    assert answer["run_id"] in board.stdout
    shown = invoke("show", answer["run_id"], "--results", results)
    assert shown.exit_code == 0
    assert "genetic of 4" in shown.stdout


def test_nothing_was_fitted_on_test_and_nothing_is_garbage(results, answer):
    proof = invoke("verify", "--roles", "--results", results)
    assert proof.exit_code == 0, proof.output
    (results / "runs" / answer["run_id"] / "run.json").read_text()
    before = sorted((results / "artifacts").glob("*/*"))
    assert invoke("store", "gc", "--results", results).exit_code == 0
    assert sorted((results / "artifacts").glob("*/*")) == before


def test_files_of_the_run(results, answer):
    folder = results / "runs" / answer["run_id"]
    for name in ("weights", "test", "convergence", "left_out"):
        assert (folder / f"ensemble_{name}.png").stat().st_size > 5000
    assert len(pd.read_csv(folder / "ensemble_members.csv")) == 4
    trace = pd.read_csv(folder / "ensemble_trace.csv")
    assert len(trace) == 2 * 11
    assert trace.groupby("restart")["best"].is_monotonic_increasing.all()


def test_the_page(open_page, results, answer):
    page = open_page(results / "runs" / answer["run_id"] / "ensemble.html")
    assert "genetic of 4 runs" in page.title()
    headings = page.locator("h2").all_inner_texts()
    assert headings == ["Tune and test", "Members", "Convergence"]
    assert page.locator("#members tbody tr").count() == 4
    assert page.locator("#test table").first.locator("tbody tr").count() == 4
    shown = page.locator("img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    assert shown


@pytest.mark.parametrize(
    ("search", "more"),
    [
        ("per_finding:population=10,generations=3,restarts=1", ()),
        ("greedy", ("--combine", "ranks", "--fitness", "macro_auc")),
    ],
    ids=["per_finding", "ranks"],
)
def test_other_ways_of_combining(results, search, more):
    found = ensemble(results, "one", "two", search=search, more=("--folds", "2", *more))
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)
    members = [json.loads((results / "runs" / run / "run.json").read_text()) for run in told["weights"]]
    best = max(member["metrics"]["macro_auc"] for member in members)
    assert told["test"]["macro_auc"]["value"] > best


def test_one_member_is_that_run_and_it_is_said(results):
    found = ensemble(results, "one", search="average", more=("--folds", "2"))
    assert found.exit_code == 0, found.stderr
    told = json.loads(found.stdout)
    assert list(told["weights"].values()) == [1]
    record = json.loads((results / "runs" / run_of(results, "one") / "run.json").read_text())
    assert told["test"]["macro_auc"]["value"] == pytest.approx(record["metrics"]["macro_auc"], abs=1e-6)
    run = json.loads((results / "runs" / told["run_id"] / "run.json").read_text())
    assert "There is one member: the ensemble is that run." in run["notes"]


def test_what_cannot_be_combined_is_refused(files, results, tmp_path):
    def refused(*names, search=SEARCH, more=()):
        found = ensemble(results, *names, search=search, more=more)
        assert found.exit_code == 2, found.output
        return found.stderr

    assert "named twice" in refused("one", "one")
    assert "of 2 members are not known" in refused("one", "two", search="pareto")
    assert "There is no ensemble 'genetics'" in refused("one", search="genetics")
    assert "cannot take tournament='0'" in refused("one", "two", search="genetic:tournament=0")
    assert "needs a name" in refused("one", more=("--name", ""))
    too_many = refused("one", "two", more=("--min-positives", "80"))
    assert "Atelectasis" in too_many
    assert "at least 80 of each are needed" in too_many


def test_mismatches_are_counted_and_named(files, results, tmp_path):
    fewer = pd.read_csv(files / "one.csv")
    fewer[:-30].to_csv(files / "fewer.csv", index=False)
    score(files, results, "fewer", more=("--allow-missing",))
    message = ensemble(results, "two", "fewer").stderr
    assert "are not tested on the same images" in message
    assert "such as 0" in message
    table = pd.read_csv(files / "labels.csv")
    table.loc[table["Patient ID"] < 20, "Finding Labels"] = "Mass"
    table.to_csv(files / "others.csv", index=False)
    pd.read_csv(files / "one.csv").to_csv(files / "relabelled.csv", index=False)
    score(files, results, "relabelled", labels="others.csv")
    message = ensemble(results, "two", "relabelled").stderr
    assert "have different labels of" in message
