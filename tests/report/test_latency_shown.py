"""Measured latencies on a leaderboard's page and on those of its runs, in a real browser."""

import re

import pytest
from conftest import invoke
from entrants import Hospital, enter, store_at

from cxrbench.files import read_json
from cxrbench.latency.record import FILES, append

A = Hospital("hospital A", patients=60)
P50 = {"slow": 40.0, "fast": 4.0, "worse": 9.0}
"""Of each system's network in ms; p99 is twice as much."""


def told(record, runtime, p50, passed=True):
    ends = {"low": 0.9, "high": 1.1}
    percentiles = [
        {
            "percent": percent,
            "value": times * p50,
            **{end: share * times * p50 for end, share in ends.items()},
            "supported": percent < 99,
            "needed": 100,
            "bound": None,
        }
        for percent, times in ((50, 1.0), (99, 2.0))
    ]
    gate = {"passed": passed, "max_abs_logit": 0.25, "delta_auc": -0.0125, "flips": 0.03}
    return {
        "run_id": record["run_id"],
        "runtime": {"name": runtime, "options": {}},
        "precision": "fp32",
        "proved_precision": "fp32",
        "batch_size": 1,
        "image_size": record["spec"]["image_size"],
        "device": "cpu",
        "host": {"name": "here", "processor": "A processor", "cores": 2, "gpu": None},
        "throughput": 1000 / p50,
        "latency": {"percentiles": percentiles},
        "gate": {**gate, "reasons": [] if passed else ["ΔAUC -0.0125 is beyond 0.001"]},
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("shown")
    store = store_at(root / "results")
    for system, signal in (("slow", 2.0), ("fast", 1.4), ("worse", 0.9), ("unmeasured", 1.8)):
        training = f"artifacts/train/{system}"
        (run,) = enter(store, A, system, signal, (0,), training=training)
        if system not in P50:
            continue
        rows = [("eager", P50[system], True), ("quick", P50[system] / 100, False)]
        record = read_json(store.root / "runs" / run / "run.json")
        # Measured twice, of which the later counts.
        rows.insert(0, ("eager", 7 * P50[system], True))
        for place, (runtime, p50, passed) in enumerate(rows):
            made = root / f"{system}-{place}"
            made.mkdir()
            for name in FILES:
                (made / name).write_text("")
            append(store, training, told(record, runtime, p50, passed), made)
    return store.root


@pytest.fixture(scope="module")
def file(results):
    out = results.parent / "leaderboard.html"
    answer = invoke("leaderboard", "--results", results, "--html", out)
    assert answer.exit_code == 0, answer.stderr
    return out


def system_names(table):
    texts = table.locator("tbody tr:visible th[scope=row]").all_inner_texts()
    return [text.split()[0] for text in texts]


def test_columns_show_the_fastest_that_passed_and_sort_with_the_unmeasured_last(open_page, file):
    page = open_page(file)
    ranking = page.get_by_role("table", name="Systems on hospital A")
    heads = ranking.get_by_role("columnheader").all_inner_texts()
    place = next(k for k, text in enumerate(heads) if text.startswith("latency p99"))
    cells = {
        row.locator("th").inner_text().split()[0]: row.locator("th, td").nth(place).inner_text()
        for row in ranking.locator("tbody tr").all()
    }
    assert cells == {"slow": "80 ms", "fast": "8 ms", "worse": "18 ms", "unmeasured": "–"}
    head = ranking.get_by_role("columnheader", name=re.compile("^latency p99"))
    head.get_by_role("button").click()
    if head.get_attribute("aria-sort") == "descending":
        assert system_names(ranking) == ["slow", "worse", "fast", "unmeasured"]
        head.get_by_role("button").click()
    assert system_names(ranking) == ["fast", "worse", "slow", "unmeasured"]


def test_the_plot_sets_apart_what_no_other_one_beats(open_page, file):
    page = open_page(file)
    plot = page.get_by_role(
        "img", name=re.compile("^AUC against p99 latency of 3 systems; 2 systems no other")
    )
    assert plot.locator("circle").count() == 3
    assert plot.locator("g.best title").all_text_contents() == ["1 slow: 80 ms", "3 fast: 8 ms"]
    dots = {each.text_content().split()[1].strip(":"): each for each in plot.locator("g title").all()}
    boxes = {name: each.locator("xpath=..").locator("circle").bounding_box() for name, each in dots.items()}
    assert boxes["fast"]["x"] < boxes["worse"]["x"] < boxes["slow"]["x"]
    assert boxes["slow"]["y"] < boxes["fast"]["y"] < boxes["worse"]["y"]


def test_a_runs_page_has_each_row_with_intervals_and_its_gate(open_page, file):
    page = open_page(file)
    page.get_by_role("table", name="Systems on hospital A").locator("tr", has_text="fast").get_by_role(
        "link"
    ).click()
    table = page.locator("article.run:visible").get_by_role("table", name="Latency of one call")
    rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert [row[0] for row in rows] == ["quick", "eager"]
    assert [row[2] for row in rows] == ["failed: ΔAUC -0.0125 is beyond 0.001", "passed"]
    assert rows[1][5].split() == ["4.00", "[3.60,", "4.40]"]
    assert rows[1][6].split() == ["8.00°", "[7.20,", "8.80]"]
    assert rows[1][9:11] == ["-0.0125", "3.00%"]


def test_what_was_not_measured_says_how(open_page, file):
    page = open_page(file)
    page.get_by_role("table", name="Systems on hospital A").locator("tr", has_text="unmeasured").get_by_role(
        "link"
    ).click()
    assert "cxrbench latency" in page.locator("article.run:visible").inner_text()
