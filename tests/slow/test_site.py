"""The site as its readers have it: opened as files, without a network, in a real browser."""

import subprocess
import sys

import pytest
from conftest import subprocess_environment
from snippets import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    environment = {**subprocess_environment(), "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_opens_without_a_network(site, browser, scheme):
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    pages = [path for path in sorted(site.rglob("*.html")) if path.name != "404.html"]
    assert len(pages) > 40
    for path in pages:
        page.goto(path.as_uri())
        assert page.locator("article h1").count() == 1, path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, path
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
    assert said == []


def test_search_finds_pages_that_are_opened_as_files(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("youden")
    page.wait_for_selector(".md-search-result__item", timeout=30_000)
    found = page.locator(".md-search-result__link").evaluate_all("links => links.map(link => link.href)")
    assert any("kinds/thresholds.html" in link for link in found)
    context.close()


def test_what_is_typed_is_copied_without_its_prompt(site, browser):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((site / "data.html").as_uri())
    page.wait_for_selector(".language-toml .md-code__button")
    assert page.locator(".language-console .gp").count() > 3
    assert page.locator(".language-console .md-code__button").filter(visible=True).count() == 0
    chosen = "node => { getSelection().selectAllChildren(node); return getSelection().toString(); }"
    typed = page.locator(".language-console code").first.evaluate(chosen)
    assert typed.strip().startswith("cxrbench data audit")
    context.close()
