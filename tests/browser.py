"""Pages in a real browser: Debian's Chromium without a window, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")

_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No window, and nothing that the browser would ask the network for on its own."""

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A browser; skips where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip(f"there is no browser ({', '.join(_NAMES)}); Debian has one: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(_QUIET))
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens a file: ``open_page(path, **options of the browser's context)``.

    Afterwards the test fails where a page asked for anything but itself, or wrote to the console, but for
    the number of lines given as ``said``.
    """
    contexts, opened, asked, lines = [], [], [], []
    expected = 0

    def open_(path: Path, *, said: int = 0, **options: Any) -> Page:
        nonlocal expected
        expected += said
        opened.append(path.resolve().as_uri())
        context = browser.new_context(**options)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: lines.append(message.text))
        page.on("pageerror", lambda error: lines.append(str(error)))
        page.goto(opened[-1])
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [url for url in asked if url not in opened and not url.startswith("data:")] == []
    assert len(lines) == expected, lines
