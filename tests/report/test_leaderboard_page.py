"""The leaderboard's page in a real browser: it sorts, filters, opens a run and comes back."""

import re

import pandas as pd
import pytest
from conftest import invoke, run
from entrants import Hospital, enter, store_at

from cxrbench.files import read_json
from cxrbench.matrices import read_matrix

SCRIPT = "<script>document.title='broken'</script>"
A, B = Hospital("hospital A", patients=60), Hospital(f"B {SCRIPT}", patients=60)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    store = store_at(tmp_path_factory.mktemp("page") / "results")
    enter(store, A, "good", 1.6, (0, 1))
    enter(store, A, SCRIPT, 1.2, (0, 1))
    enter(store, A, "lucky", 2.2, (0,))
    enter(store, A, "old", 0.8, (0,), old=True)
    enter(store, A, "unsound", 1.6, (0,), sanity=[f"All outputs are {SCRIPT}."])
    enter(store, B, "good", 1.2, (0,))
    return store.root


@pytest.fixture(scope="module")
def file(results):
    out = results.parent / "leaderboard.html"
    answer = invoke("leaderboard", "--results", results, "--html", out, "--json")
    assert answer.exit_code == 0, answer.stderr
    return out


@pytest.fixture
def page(open_page, file):
    return open_page(file)


@pytest.fixture
def ranking(page):
    return page.get_by_role("table", name="Systems on hospital A, ranked by AUC")


def names(table):
    texts = table.locator("tbody tr:visible th[scope=row]").all_inner_texts()
    return [text.split("\n")[0].removesuffix(" seed 0") for text in texts]


def test_the_best_comes_first_and_columns_sort(ranking):
    assert [name.split(" ")[0] for name in names(ranking)] == ["lucky", "good", SCRIPT, "old"]
    head = ranking.get_by_role("columnheader", name=re.compile("^Brier"))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    by_brier = names(ranking)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(ranking) == by_brier[::-1]
    # Null rows stay at the foot.
    assert ranking.locator("tfoot tr").count() == 2


def test_rows_are_filtered_by_words(page, ranking):
    page.get_by_label("Filter rows").first.fill("good")
    assert [name.split(" ")[0] for name in names(ranking)] == ["good"]


def test_a_run_opens_and_the_browser_goes_back(page, ranking):
    boards = page.locator(".boards")
    row = ranking.locator("tr", has_text="good")
    row.get_by_role("link", name="seed 1").click()
    run = page.locator("article.run:visible")
    assert run.count() == 1
    assert run.get_by_role("heading", level=2).inner_text().startswith("good")
    assert "seed 1" in run.get_by_role("heading", level=2).inner_text()
    assert not boards.is_visible()
    assert page.evaluate("document.activeElement.id") == run.get_attribute("id")
    page.go_back()
    assert boards.is_visible()
    assert page.locator("article.run:visible").count() == 0
    page.go_forward()
    run.get_by_role("link", name="← Leaderboard").first.click()
    assert boards.is_visible()


def test_a_runs_page_has_its_curves_and_tables(page, ranking):
    ranking.locator("tr", has_text="good").get_by_role("link", name="seed 0").click()
    run = page.locator("article.run:visible")
    for name in ("ROC curve of Effusion", "Precision against recall of Pleural Thickening"):
        drawn = run.get_by_role("img", name=name)
        assert drawn.count() == 1
        box = drawn.locator("path").last.bounding_box()
        assert box["width"] > 20
        assert box["height"] > 20
    for kind in ("Observed rate", "Precision, recall and F1", "Net benefit", "Loss on train", "Macro AUC"):
        assert run.get_by_role("img", name=kind).count() >= 1
    assert run.get_by_role("img", name=re.compile("Effusion: .* found")).count() == 1
    tables = ("Figures of each finding", "Figures over all", "Means over the findings", "Means over findings")
    for caption in tables:
        assert run.get_by_role("table", name=caption).count() >= 1
    findings = run.get_by_role("table", name="Figures of each finding")
    assert findings.locator("tbody tr").count() == 3
    assert findings.locator("svg.whisker .reach").count() == 3


def test_a_runs_page_tells_what_is_called_where_findings_are_present(page, ranking, results):
    link = ranking.locator("tr", has_text="good").get_by_role("link", name="seed 0")
    run_id = link.get_attribute("href").removeprefix("#run-")
    link.click()
    shown = crossed(page, "Of the images with the row's finding")
    folder = results / read_json(results / "runs" / run_id / "run.json")["evaluation"]
    table = pd.read_csv(folder / "confusion.csv")
    for finding, row in zip(table["finding"].unique(), shown[:-1], strict=True):
        of = table[table["finding"] == finding]
        assert row[0] == finding.replace("_", " ")
        assert row[2:] == [f"{100 * rate:.0f}" for rate in of["both"] / of["among"]]
    called = read_matrix(folder / "decisions.parquet").mean(axis=0)
    assert shown[-1] == ["all images", "180", *(f"{100 * rate:.0f}" for rate in called)]


def test_a_single_label_runs_page_has_its_confusion_matrix(open_page, tmp_path):
    settings = ("--task", "single_label", "--loss", "cross_entropy", "--thresholds", "argmax", "--epochs", 1)
    (made,) = run(tmp_path, *settings, "--set", "min_positives=1").json["runs"]
    out = tmp_path / "page.html"
    assert invoke("leaderboard", "--results", tmp_path, "--html", out).exit_code == 0
    page = open_page(out)
    page.locator(f"a[href='#run-{made['run_id']}']").first.click()
    shown = crossed(page, "Images by true class")
    matrix = pd.read_csv(f"{made['path']}/confusion_matrix.csv", index_col="truth").to_numpy()
    assert [row[0] for row in shown] == ["No Finding", "Effusion", "Infiltration", "Atelectasis"]
    assert [[int(cell) for cell in row[1:]] for row in shown] == [[sum(row), *row] for row in matrix.tolist()]


def crossed(page, caption):
    rows = page.locator("article.run:visible").get_by_role("table", name=caption).locator("tbody tr")
    return [[cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in rows.all()]


def test_an_old_run_says_what_it_lacks(page, ranking):
    ranking.locator("tr", has_text="old").get_by_role("link", name="seed 0").click()
    run = page.locator("article.run:visible")
    assert "older cxrbench" in run.inner_text()
    assert run.get_by_role("img", name="ROC curve of Effusion").count() == 0


def test_markup_in_names_is_text(page, ranking):
    assert page.title() == "Leaderboard"
    assert SCRIPT in ranking.inner_text()
    assert f"All outputs are {SCRIPT}." in page.locator(".board").first.inner_text()
    assert page.locator(".board h2").all_inner_texts() == ["hospital A", f"B {SCRIPT}"]
    assert page.locator("script").count() == 1


def test_one_seed_and_groups_are_said_in_words(page, ranking):
    lucky = ranking.locator("tr", has_text="lucky")
    assert "seed variance unknown" in lucky.inner_text()
    assert lucky.locator("td.group").inner_text() == "–"
    assert ranking.locator("tr", has_text="good").locator("td.group").inner_text() == "1"
    apart = page.get_by_role("table", name="Runs that fail a check")
    assert "unsound" in apart.inner_text()
    assert "unsound" not in ranking.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_window_in_both_themes(open_page, file, scheme):
    page = open_page(file, viewport={"width": 380, "height": 700}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    ink, ground = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    bright = [sum(map(int, re.findall(r"\d+", each)[:3])) for each in (ink, ground)]
    assert (bright[0] > bright[1]) == (scheme == "dark")
    page.get_by_role("link", name="seed 0").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_it_works_by_keyboard(page, ranking):
    link = ranking.get_by_role("link", name="seed 1").first
    link.focus()
    page.keyboard.press("Enter")
    assert page.locator("article.run:visible").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "← Leaderboard"
    page.keyboard.press("Enter")
    assert page.locator(".boards").is_visible()


def test_without_a_script_it_is_whole(open_page, file):
    page = open_page(file, java_script_enabled=False)
    page.get_by_role("link", name="seed 0").first.click()
    assert page.locator("article.run:visible").count() == 1


def test_fifty_runs_of_fourteen_findings_stay_below_5_mb(tmp_path):
    findings = tuple(f"Finding number {k}" for k in range(14))
    store = store_at(tmp_path / "results")
    enter(store, Hospital("H", patients=200, findings=findings), "good", 1.2, (0, 1))
    sizes = []
    for passport in ("", "none"):
        out = tmp_path / f"page{passport}.html"
        assert invoke("leaderboard", "--results", store.root, "--html", out).exit_code == 0
        sizes.append(out.stat().st_size)
        if not passport:
            store.remove_run(store.find_run(store.run_names()[0]))
    both, one = sizes
    assert one + 49 * (both - one) < 5e6
