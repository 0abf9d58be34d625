"""What all pages share, in a real browser; the page is that of an exploration of hostile data."""

from __future__ import annotations

import re

import numpy as np
import pytest
from conftest import invoke
from PIL import Image

from cxrbench.report.page.page import exact, fixed, percent

SCRIPT = "<script>document.title='broken'</script>"
IMAGE = "<img src=x onerror=document.title='broken'>.png"
CONFIG = f"""
name = "<b>Ours</b>"
table = "ours.csv"
[columns]
image = "image"
patient = "patient"
age = "age"
role = "role"
[findings]
"{SCRIPT}" = "one"
Mass = "two"
Edema = "three"
"""
ROWS = (
    f"{IMAGE},p0,30,train,1,1,",
    "b.png,p1,40,train,1,0,",
    "c.png,p2,9,test,1,1,",
    "d.png,p3,,tune,0,0,",
)


def test_zero_has_no_sign():
    assert fixed(-0.0001) == fixed(0.0) == "0.000"
    assert percent(-0.00001) == "0.0%"
    assert fixed(-0.0006) == "-0.001"


@pytest.fixture(scope="module")
def explored(tmp_path_factory):
    """The page of four images; nobody knows of Edema, and names are markup."""
    root = tmp_path_factory.mktemp("data")
    for name in (IMAGE, "b.png", "c.png", "d.png"):
        Image.fromarray(np.full((8, 12), 90, dtype=np.uint8)).save(root / name)
    (root / "ours.csv").write_text("\n".join(("image,patient,age,role,one,two,three", *ROWS)) + "\n")
    (root / "ours.toml").write_text(CONFIG)
    out = tmp_path_factory.mktemp("out")
    dataset = "csv:config=ours.toml"
    answer = invoke("data", "explore", "--dataset", dataset, "--data-root", root, "--out", out, "--json")
    assert answer.exit_code == 0, answer.stderr
    return out / "explore.html"


@pytest.fixture
def page(open_page, explored):
    return open_page(explored)


def column(table, number):
    """The texts of a column, in the order shown."""
    return table.locator(f"tbody tr:visible > :nth-child({number})").all_inner_texts()


def test_markup_in_names_is_shown_as_text(page):
    assert page.title() == "<b>Ours</b>"
    assert page.locator("h1").inner_text() == "<b>Ours</b>"
    assert SCRIPT in column(page.locator("#findings table"), 1)
    assert page.locator("#samples .name").first.inner_text() == IMAGE
    assert page.locator("script").count() == 1
    assert page.locator("img[src=x]").count() == 0
    shown = page.locator("img").evaluate_all("images => images.every(image => image.naturalWidth > 0)")
    assert shown


def test_what_is_injected_does_not_run(open_page, explored, tmp_path):
    """Were escaping to fail, the page's policy would still hold."""
    text = explored.read_text(encoding="utf-8")
    injected = "<script>document.title='broken'</script><style>h1 { display: none }</style>"
    opened = tmp_path / "injected.html"
    opened.write_text(text.replace("<main", f"{injected}<main", 1), encoding="utf-8")
    page = open_page(opened, said=2)
    assert page.title() == "<b>Ours</b>"
    assert page.locator("h1").is_visible()


def test_a_table_is_sorted_by_its_heads(page):
    table = page.locator("#findings table")
    head = table.get_by_role("columnheader", name="images", exact=True)
    given = column(table, 2)
    assert given == ["3", "2", "0", "0"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(table, 2) == ["3", "2", "0", "0"]
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(table, 2) == ["0", "0", "2", "3"]
    name = table.get_by_role("columnheader", name="finding", exact=True)
    name.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") is None
    assert column(table, 1) == [SCRIPT, "Edema", "Mass", "No Finding"]


def test_undefined_values_stand_last_either_way(page):
    table = page.locator("#findings table")
    button = table.get_by_role("columnheader", name="share of known").get_by_role("button")
    shares = []
    for _ in range(2):
        button.click()
        shares.append(column(table, 3))
    assert shares == [["75.0%", "50.0%", "0.0%", "–"], ["0.0%", "50.0%", "75.0%", "–"]]


def test_numbers_are_sorted_as_numbers_and_totals_stay_below(page):
    table = page.locator("#patients table")
    before = table.locator("tfoot").inner_text()
    button = table.get_by_role("columnheader", name="median").get_by_role("button")
    button.click()
    assert column(table, 11) == ["30", "20", "–", "–"]  # 9 and 30, 40 of the first; 9 and 30 of the second
    assert table.locator("tfoot").inner_text() == before


def test_rows_are_filtered_by_all_words(page):
    page.locator("summary").click()
    table = page.locator("details table")
    rows = table.locator("tbody tr:visible")
    assert rows.count() == 1
    search = page.get_by_label("Filter rows")
    search.fill("MASS script")
    assert rows.count() == 1
    search.fill("mass hernia")
    assert rows.count() == 0
    assert page.locator("output").inner_text() == "0 of 1 rows"
    search.fill("")
    assert rows.count() == 1


@pytest.mark.parametrize("system", ["light", "dark"])
def test_the_theme_follows_the_system_until_it_is_chosen(open_page, explored, system):
    page = open_page(explored, color_scheme=system)
    button = page.get_by_role("button", name="Dark theme")

    def dark():
        red = re.search(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor"))[0]
        return int(red) < 128

    assert dark() == (system == "dark")
    assert button.get_attribute("aria-pressed") == str(dark()).lower()
    button.click()
    assert dark() == (system == "light")
    assert button.get_attribute("aria-pressed") == str(dark()).lower()
    page.reload()
    assert dark() == (system == "light")
    page.emulate_media(media="print")
    assert not dark()


def test_whole_without_its_script(open_page, explored):
    page = open_page(explored, java_script_enabled=False)
    assert page.get_by_role("button").count() == 0
    assert column(page.locator("#findings table"), 2) == ["3", "2", "0", "0"]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_wider_than_the_window(open_page, explored, width):
    page = open_page(explored, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_says_what_things_are(page):
    """What a screen reader goes by: landmarks, headings, captions, heads of rows and columns, texts."""
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("table").count() == page.locator("table > caption").count() > 3
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    targets = page.locator("nav a").evaluate_all(
        "links => links.map(link => document.querySelector(link.getAttribute('href')) !== null)"
    )
    assert targets
    assert all(targets)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    assert page.locator(":focus").is_visible()


def test_numbers_as_text():
    assert fixed(1234.5678, 2) == "1,234.57"
    assert fixed(float("nan")) == fixed(None) == percent(float("nan")) == percent(None) == "–"
    assert percent(0.12345) == "12.3%"
    assert exact(np.float64(0.1)) == "0.1"
    assert exact(np.int64(3)) == "3.0"
    assert exact(None) == exact(float("nan")) == ""
