"""Renders a page: one HTML file with style, script and images inside it, which asks the network for nothing.

Templates extend ``base.html.j2`` and take tables and figures from ``parts.html.j2``. Everything that they
are given is escaped. The page's Content-Security-Policy allows no more than what is written here: the one
style sheet, the one script (both by their hash) and images in data URIs; so a template has no ``style``
attributes and no event handlers, and what slipped into a page could neither run nor call home.
"""

from __future__ import annotations

import math
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cxrbench import __version__
from cxrbench.files import write_text

DASH = "–"
"""What stands for a value that is undefined."""


def write_page(path: Path, template: str, **context: Any) -> None:
    """Write a page, whole or not at all.

    Args:
        path: of the HTML file.
        template: such as ``exploration.html.j2``, in this folder; ``exploration.css`` beside it is added to
            the common style (``style.css``, ``charts.css``).
        context: what the template is given; the base asks for ``title`` and ``subtitle``.
    """
    write_text(path, render_page(template, **context))


def render_page(template: str, **context: Any) -> str:
    """The text of a page, see :func:`write_page`."""
    own_style = template.replace(".html.j2", ".css")
    style = _asset("style.css") + _asset("charts.css") + (_asset(own_style) if own_style in _assets() else "")
    script = _asset("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    # The two files of this folder are no text to escape; whatever else is shown is.
    own = {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}
    return _environment().get_template(template).render(context, version=__version__, **own)


def data_uri(content: bytes, media_type: str) -> str:
    """Content as the address of an image, such as ``data:image/png;base64,…``."""
    return f"data:{media_type};base64,{b64encode(content).decode('ascii')}"


def fixed(value: float | None, digits: int = 3) -> str:
    """A number with that many digits, thousands apart, 0 without a sign; a dash where it is undefined."""
    return DASH if value is None or math.isnan(value) else f"{value:z,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share 0..1 as per cent; a dash where it is undefined."""
    return DASH if value is None or math.isnan(value) else f"{100 * value:z.{digits}f}%"


def exact(value: float | None) -> str:
    """What a table sorts a number by, with seven digits; empty where it is undefined."""
    return "" if value is None or math.isnan(value) else repr(float(f"{value:.7g}"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cxrbench.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"fixed": fixed, "percent": percent, "exact": exact}
    return environment


@cache
def _assets() -> frozenset[str]:
    return frozenset(each.name for each in files("cxrbench.report.page").iterdir())


@cache
def _asset(name: str) -> str:
    return files("cxrbench.report.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline style or script (CSP Level 3, 2.3.1)."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}"
