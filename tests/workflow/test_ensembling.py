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
    told_of(page.locator("main"), answer, results)


def told_of(shown, answer, results):
    """The section on an ensemble, wherever it stands, tells what the command answered."""
    heads = shown.locator("h2, h3").all_inner_texts()
    start = heads.index("Ensemble: tune and test")
    assert heads[start : start + 3] == ["Ensemble: tune and test", "Members", "Search"]
    members = shown.get_by_role("table", name="Members: weight")
    found = {
        row.locator("th .interval").inner_text(): row.locator("td").first.inner_text().split()[0]
        for row in members.locator("tbody tr").all()
    }
    assert found == {run: f"{weight:.3f}" for run, weight in answer["weights"].items()}
    assert members.locator("svg.whisker .reach").count() == 8
    systems = shown.get_by_role("table", name="The ensemble and what it must beat")
    assert systems.locator("tbody th").all_inner_texts() == [
        "genetic",
        "best single (on tune)",
        "average",
        "greedy",
    ]
    cells = systems.locator("tbody tr").first.locator("td").all_inner_texts()
    figures = (answer["tune"], answer["cross_fitted"])
    assert cells[:2] == [f"{each['macro_f1']:.4f}" for each in figures]
    assert cells[2].split()[0] == f"{answer['test']['macro_f1']['value']:.4f}"
    drawn = shown.get_by_role("img", name="Best and mean macro-F1 on tune")
    assert drawn.count() == 1
    box = drawn.locator("path.main").bounding_box()
    assert box["width"] > 50


def test_its_page_on_the_leaderboard_tells_the_same(open_page, results, answer, tmp_path):
    out = tmp_path / "leaderboard.html"
    assert invoke("leaderboard", "--results", results, "--html", out).exit_code == 0
    page = open_page(out)
    page.locator(f"a[href='#run-{answer['run_id']}']").first.click()
    run = page.locator("article.run:visible")
    told_of(run, answer, results)
    # It has no network that could be explained or measured.
    assert run.get_by_role("heading", name="Latency").count() == 0


def test_the_board_tells_who_is_wrong_where(open_page, results, answer, tmp_path):
    out = tmp_path / "leaderboard.html"
    made = invoke("leaderboard", "--results", results, "--html", out, "--json")
    assert made.exit_code == 0, made.stderr
    board = next(each for each in made.json["boards"] if answer["run_id"] in str(each["systems"]))
    runs = board["errors"]["run_ids"]
    expected = invoke("errors", *runs, "--results", results, "--out", tmp_path / "errors", "--json").json
    by_finding = {row["of"]: row for row in expected["counts"]}
    only = {(row["of"], row["run"]): row["only_wrong"] for row in expected["by_run"]}
    for question in board["errors"]["questions"]:
        row = by_finding[question["of"]]
        assert [question[name] for name in ("units", "all_right", "all_wrong")] == [
            row[name] for name in ("units", "all_right", "all_wrong")
        ]
        alone = [side["only_wrong"] for side in question["sides"]]
        assert alone == [only[question["of"], run] for run in runs]
    page = open_page(out)
    shown = page.locator(".board")
    counts = shown.get_by_role("table", name="What all runs get right and wrong").first
    assert counts.locator("tbody tr").count() == 2 + len(FINDINGS)
    assert "only A wrong" in " ".join(counts.locator("thead th").all_inner_texts())
    kappas = shown.get_by_role("table", name="Cohen’s kappa of each two runs").first
    assert kappas.locator("tbody td[title]").count() == len(runs) * (len(runs) - 1)
    sets = shown.get_by_role("table", name="Sets of runs that err together").first
    assert sum(int(row.replace(",", "")) for row in sets.locator("td.number").all_inner_texts()) > 0


def test_a_metric_is_searched_for_in_its_own_direction(results):
    names, more = ("one", "three", "useless"), ("--folds", "2")
    search = "genetic:population=10,generations=5,restarts=1"
    told = {}
    for fitness in ("expected_cost:fn=3", "f_beta"):
        found = ensemble(results, *names, search=search, more=(*more, "--fitness", fitness))
        assert found.exit_code == 0, found.stderr
        told[fitness] = json.loads(found.stdout)
    cost, beta = told["expected_cost:fn=3"], told["f_beta"]
    assert (cost["fitness"], cost["turned"]) == ("expected_cost@fn=3.0", True)
    assert (beta["fitness"], beta["turned"]) == ("f_beta", False)
    # The even average is in the first population, and the best of all is kept.
    average = cost["baselines"]["average"]["tune"]["expected_cost@fn=3.0"]
    assert cost["tune"]["expected_cost@fn=3.0"] <= average
    assert beta["tune"]["f_beta"] >= beta["baselines"]["average"]["tune"]["f_beta"]
    test = cost["test"]["expected_cost@fn=3.0"]
    assert test["low"] < test["value"] < test["high"]
    gap = cost["baselines"]["best_single"]["difference"]["expected_cost@fn=3.0"]
    assert gap["low"] <= gap["value"] <= gap["high"]
    # Below 0 the ensemble is the better there, which an arrow says.
    page = (results / "runs" / cost["run_id"] / "ensemble.html").read_text()
    assert "<td>expected_cost@fn=3.0 ↓</td>" in page
    assert "f_beta ↓" not in (results / "runs" / beta["run_id"] / "ensemble.html").read_text()


def test_what_is_no_fitness_is_refused(results):
    refused = ensemble(results, "one", "two", more=("--fitness", "macro_f2"))
    assert refused.exit_code == 2
    assert "did you mean macro_f1" in " ".join(refused.stderr.split())
    of_ranks = ensemble(results, "one", "two", more=("--combine", "ranks", "--fitness", "log_loss"))
    assert of_ranks.exit_code == 2
    assert "log_loss judges probabilities" in " ".join(of_ranks.stderr.split())
    of_findings = ensemble(results, "one", "two", search="per_finding", more=("--fitness", "f_beta"))
    assert of_findings.exit_code == 2
    assert "one number of all findings" in " ".join(of_findings.stderr.split())


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


def test_an_ensemble_of_scores_has_no_network_to_predict_with(results, answer, tmp_path):
    refused = invoke("predict", answer["run_id"], tmp_path / "scan.png", "--results", results)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.split())
    assert f"{answer['run_id']} combines scored-" in said
    assert "there is no network to run" in said
