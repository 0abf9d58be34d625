"""Docstrings, help texts and tables as Markdown."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence

_ROLE = re.compile(r":\w+:`~?([\w.]+)`")
_SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
_ITEM = re.compile(r"([\w*]+):\s+(.*)", re.DOTALL)
_TITLES = {"Args": "Arguments", "Attributes": "Fields"}


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(each) for each in line)} |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """A text as inline code; empty where there is none."""
    return f"`{text}`" if text else ""


def docstring(documented: object) -> str:
    """A docstring in Google's style as Markdown: sections become lists; roles and double backticks, code."""
    parts: list[str] = []
    for block in _blocks(inspect.getdoc(documented) or ""):
        name = _SECTION.fullmatch(block[0])
        parts.append(_section(name[1], block[1:]) if name else "\n".join(block))
    return inline("\n\n".join(parts)) + "\n"


def attributes(documented: object) -> dict[str, str]:
    """What a class's docstring says of each of its attributes."""
    for block in _blocks(inspect.getdoc(documented) or ""):
        if block[0] == "Attributes:":
            told = [_ITEM.fullmatch(each) for each in _items(block[1:])]
            return {each[1]: inline(each[2]) for each in told if each}
    return {}


def inline(text: str) -> str:
    """Marks of reStructuredText within a line as those of Markdown."""
    shorter = _ROLE.sub(lambda found: f"`{found[1].rpartition('.')[2]}`", text)
    return shorter.replace("::\n", ":\n").replace("``", "`")


def _blocks(text: str) -> list[list[str]]:
    """Paragraphs of lines; what is indented belongs to the section before it."""
    found: list[list[str]] = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.splitlines()
        if lines and found and lines[0].startswith("    ") and _SECTION.fullmatch(found[-1][0]):
            found[-1] += lines
        elif lines:
            found.append(lines)
    return found


def _section(name: str, lines: Sequence[str]) -> str:
    items = _items(lines)
    told = [_ITEM.fullmatch(each) for each in items]
    if not all(told):
        return f"*{_TITLES.get(name, name)}*: {' '.join(items)}"
    listed = "\n".join(f"- `{each[1]}`: {each[2]}" for each in told if each)
    return f"*{_TITLES.get(name, name)}*\n\n{listed}"


def _items(lines: Sequence[str]) -> list[str]:
    """What begins at the left, with what is indented below it, as one line each."""
    text = textwrap.dedent("\n".join(lines))
    return [" ".join(each.split()) for each in re.split(r"\n(?=\S)", text)]
