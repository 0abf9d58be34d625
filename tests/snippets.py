"""Blocks of code and command lines of the documentation, as they are written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from cxrbench.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_STANDS_FOR = {"KIND": "loss"}
"""Words in capitals that must be one of a few."""

_CODE = re.compile(r"`([^`\n]+)`")
_CALL = re.compile(r"(^|\s)cxrbench [a-z]")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Line:
    """A call of cxrbench: its words after ``cxrbench``, without what only stands for others.

    ``inline`` ones stand in a sentence and may leave arguments out.
    """

    page: Path
    line: int
    text: str
    inline: bool

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}: {self.text}"

    @property
    def words(self) -> list[str]:
        # What follows is the shell's: where output goes, what it becomes.
        ours = re.split(r" [>|] | \| ", self.text)[0]
        # A synopsis: brackets are round what may be left out, dots stand for more of the same.
        ours = re.sub(r"[\[\]]", "", ours)
        words = [word.removesuffix("…") for word in shlex.split(ours, comments=True)]
        start = next(n for n, word in enumerate(words) if word == "cxrbench" and "launch" not in words[n:])
        return [_STANDS_FOR.get(word, word) for word in words[start + 1 :] if word]


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text[: found.start()].count("\n") + 1, found[2], found[3])
        for found in _BLOCK.finditer(text)
    ]


def command_lines(page: Path) -> Iterator[Line]:
    """Calls in blocks (``$ cxrbench …``; where no language is named, ``cxrbench …``) and in sentences."""
    for block in blocks(page):
        if block.language in ("console", ""):
            mark = "$ " if block.language else ""
            joined = re.sub(r"\\\n\s*", "", block.text)
            for text in joined.splitlines():
                if text.startswith(mark) and _CALL.search(text):
                    yield Line(page, block.line, text.removeprefix(mark).strip(), inline=False)
    outside = _BLOCK.sub(lambda found: "\n" * found[0].count("\n"), page.read_text(encoding="utf-8"))
    for number, text in enumerate(outside.splitlines(), start=1):
        for found in filter(_CALL.search, _CODE.findall(text)):
            yield Line(page, number, found.replace("\\|", "|"), inline=True)


def parsed(line: Line) -> tuple[click.Command, click.Context | None]:
    """The command of a line and its context, with every option read by click; nothing is run.

    Raises:
        click.UsageError: no such command or option, or a value that it does not take.
    """
    words, command = line.words, main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name = words.pop(0)
        below = command.get_command(click.Context(command), name)
        if below is None:
            raise click.UsageError(f"There is no command '{name}' in '{line.text}'.")
        command = below
    if isinstance(command, click.Group) and not command.invoke_without_command:
        return command, None
    if line.inline and not words:
        return command, None
    return command, command.make_context(line.text, words)
