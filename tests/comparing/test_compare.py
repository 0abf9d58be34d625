"""``cxrbench compare``: paired differences of systems, seeds and networks, and what is said of them."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import invoke

from cxrbench.statistics.delong import auc_covariance

CLASSES = ("Mass", "Nodule")
N = 300
GOOD, BAD = 2.0, 0.3
"""How far the logits of positives are above those of negatives."""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two seeds each of a good and a bad system, and one seed of another, on one test set; one on another."""
    folder = tmp_path_factory.mktemp("compared")
    random = np.random.default_rng(1)
    labels = (random.random((N, 2)) < 0.4).astype(float)
    patients = np.arange(N) // 2
    shared = random.normal(size=labels.shape)
    files = []
    for name, skill in (("good_seed0", GOOD), ("good_seed1", GOOD), ("bad_seed0", BAD), ("bad_seed1", BAD)):
        files.append(folder / f"{name}.npz")
        logits = skill * labels + shared + 0.3 * random.normal(size=labels.shape)
        np.savez(files[-1], logits=logits, labels=labels, patients=patients)
    np.savez(folder / "lone.npz", logits=GOOD * labels + shared, labels=labels, patients=patients)
    np.savez(folder / "other.npz", logits=shared[:200], labels=labels[:200], patients=patients[:200])
    for file in (*files, folder / "lone.npz", folder / "other.npz"):
        options = ("--rows-as-ids", "--classes", ",".join(CLASSES), "--results", folder / "results")
        assert invoke("score", file, *options, "-q").exit_code == 0
    return folder / "results"


@pytest.fixture(scope="module")
def compare(results):
    names = {path.name.split("-")[1] + path.name.split("-")[4]: path.name for path in results.glob("runs/*")}

    def call(*runs, options=("--json",)):
        return invoke("compare", *(names[run] for run in runs), "--results", results, *options)

    return call


def only(answer):
    assert answer.exit_code == 0, answer.stderr
    (comparison,) = answer.json["comparisons"]
    return comparison


def row(comparison, figure):
    (found,) = (
        each for each in (*comparison["overall"], *comparison["findings"]) if each["figure"] == figure
    )
    return found


def test_systems_of_several_seeds_are_told_apart(compare):
    found = only(compare("goods0", "goods1", "bads0", "bads1"))
    assert found["kind"] == "systems"
    assert found["first"]["name"] == "good"
    auc = row(found, "macro_auc")
    assert auc["value"] == pytest.approx(auc["second"] - auc["first"])
    assert auc["low"] < auc["value"] < auc["high"] < 0
    assert auc["better"] == "first"
    assert "bad is worse than good" in found["verdict"]
    assert row(found, "Mass")["delong_p"] is None


def test_a_system_of_one_seed_is_never_called_better(compare):
    for runs in (("bads0", "lones0"), ("bads0", "bads1", "lones0")):
        found = only(compare(*runs))
        assert found["kind"] == "networks"
        assert row(found, "macro_auc")["low"] > 0
        assert "Seed variance unknown" in found["verdict"]
        assert "neither system is called better" in found["verdict"]
    assert "is better than" not in compare("bads0", "lones0", options=()).stdout


def test_seeds_of_one_system_are_compared_with_the_first(compare):
    found = only(compare("goods0", "goods1"))
    assert found["kind"] == "seeds"
    assert found["second"]["runs"][0].startswith("scored-good-none-fixed-s1")
    assert "Two seeds of one system" in found["verdict"]


def test_delong_agrees_with_the_bootstrap_and_p_is_adjusted_over_findings(compare, results):
    found = only(compare("bads0", "goods0"))
    labels = np.load(results.parent / "bad_seed0.npz")["labels"]
    scores = np.stack([np.load(results.parent / f"{n}_seed0.npz")["logits"] for n in ("bad", "good")])
    patients = np.load(results.parent / "bad_seed0.npz")["patients"]
    oracle = auc_covariance(scores, labels, patients)
    for column, name in enumerate(CLASSES):
        gap, interval, p = oracle.difference(1, 0, column)
        each = row(found, name)
        assert each["value"] == pytest.approx(gap, abs=1e-12)
        assert (each["delong_low"], each["delong_high"]) == pytest.approx((interval.low, interval.high))
        assert each["delong_p"] == pytest.approx(p)
        assert (each["low"], each["high"]) == pytest.approx((interval.low, interval.high), abs=0.02)
        # The least that 1,000 replicates can say, for two hypotheses.
        assert each["p"] == pytest.approx(2 * 2 / 1001)


def test_several_systems_are_each_compared_with_the_first(compare):
    answer = compare("lones0", "goods0", "bads0", options=())
    assert answer.stdout.count("  against  lone") == 2
    for word in ("AUC of", "DeLong's interval", "p (Holm)", "both: uncalibrated"):
        assert word in answer.stdout


def test_other_passports_are_refused_with_the_reason(compare):
    refused = compare("goods0", "others0")
    assert refused.exit_code == 2
    assert "300 images of rows" in refused.stderr
    assert "not the same images" in " ".join(refused.stderr.split())


@pytest.mark.parametrize("runs", [("goods0",), ("goods0", "goods0")])
def test_two_different_runs_are_needed(compare, runs):
    refused = compare(*runs)
    assert refused.exit_code == 2
    assert "two different runs" in refused.stderr


def test_every_row_goes_into_a_csv_file(compare, tmp_path):
    compare("goods0", "bads0", options=("--csv", tmp_path / "rows.csv"))
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {each["figure"] for each in rows} >= {"macro_auc", "macro_ece", *CLASSES}
    assert {each["of"] for each in rows} == {"all findings", "finding"}


def test_runs_of_an_older_store_get_their_replicates_now_and_the_reading_is_logged(tmp_path):
    results = tmp_path / "results"
    shutil.copytree(Path(__file__).parents[1] / "fixtures/store_v1", results)
    before = (results / "label_reads.jsonl").read_text().splitlines()
    runs = sorted(path.name for path in results.glob("runs/*"))
    found = only(invoke("compare", *runs, "--results", results, "--json"))
    # One network under two threshold strategies.
    auc, matches = row(found, "macro_auc"), row(found, "exact_match")
    assert auc["value"] == 0
    assert (matches["low"], matches["high"]) == (0, 0)
    new = (results / "label_reads.jsonl").read_text().splitlines()[len(before) :]
    assert len(new) == 2
    assert all('"compare/' in line and '"evaluate"' in line for line in new)
    assert invoke("verify", "--roles", "--results", results).exit_code == 0
