"""What MkDocs is told beyond ``mkdocs.yml``: pages made of the code, and pages that lie outside ``docs/``.

Run by ``mkdocs build`` (its ``hooks``). Generated pages are never committed, so that they cannot grow old.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docpages import commands, kinds, settings, statistics
from mkdocs.structure.files import File, Files

from cxrbench.registry import KINDS

ROOT = Path(__file__).resolve().parents[1]

OUTSIDE = ("results/reference/*.md", "results/reference/*.csv", "benchmarks/README.md", "plugins/*/README.md")
"""Files that belong to the site and lie where they are made."""

LINKS = {
    "../results/reference/": "results/reference/",
    "../benchmarks/README.md": "benchmarks/README.md",
    "../plugins/": "plugins/",
    "../cxrbench/interfaces.py": "reference/kinds.md",
}
"""Links from ``docs/`` to what lies beside it, as they are in the site."""


def on_config(config: Any) -> Any:
    """Fill the part of the navigation that follows from what there is."""
    section = next(each for each in config.nav if "Extend" in each)
    section["Extend"] = extending()
    return config


def extending() -> list[Any]:
    """The pages for authors of plugins: how to, the kinds of component, plugins that come along."""
    guides = [name for name in ("plugin_tutorial.md", "hooks.md") if (ROOT / "docs" / name).exists()]
    of_kinds = [{kinds.title(kind): f"reference/kinds/{kind}.md"} for kind in KINDS]
    plugins = [
        {path.parent.name: path.relative_to(ROOT).as_posix()}
        for path in sorted(ROOT.glob("plugins/*/README.md"))
    ]
    return [*guides, {"Kinds of component": "reference/kinds.md"}, *of_kinds, *plugins]


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made, and those that lie elsewhere."""
    made = {
        "reference/commands.md": commands.page(),
        "reference/settings.md": settings.page(),
        "reference/statistics.md": statistics.page(),
        "reference/kinds.md": kinds.overview(),
        **{f"reference/kinds/{kind}.md": kinds.page(kind) for kind in KINDS},
    }
    for uri, content in made.items():
        files.append(File.generated(config, uri, content=content))
    for path in sorted(each for pattern in OUTSIDE for each in ROOT.glob(pattern)):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Mark code that is short enough to stand on one line."""
    return re.sub(r"<code>([^<]{1,40})</code>", r'<code class="short">\1</code>', html)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to where things are in the site."""
    for there, here in LINKS.items():
        markdown = markdown.replace(f"]({there}", f"]({here}")
    return markdown
