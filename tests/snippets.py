"""Blocks of code and command lines of the documentation, as they are written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from docpages import commands

from cxrbench.cli.main import main

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Page:
    """A page, called by where it lies (or, where it is made of the code, will lie) in the project."""

    name: str
    text: str

    def __str__(self) -> str:
        return self.name

    @property
    def folder(self) -> Path:
        return (ROOT / self.name).parent


def _pages(*patterns: str) -> list[Page]:
    paths = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return [Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


PAGES = _pages("README.md", "docs/*.md")
RECORDS = _pages("results/reference/*.md", "benchmarks/README.md")
"""How committed figures were made, of files that others publish: read, and not run."""
COMMANDS = Page("docs/reference/commands.md", commands.page())
"""Made of the code: each command's example."""
PAGES_OF_PLUGINS = _pages("plugins/*/README.md")
"""What they show takes the plugin, installed."""

_BLOCK = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')
_STANDS_FOR = {"KIND": "loss"}
"""Words in capitals that must be one of a few."""

_CODE = re.compile(r"`([^`\n]+)`")
_CALL = re.compile(r"(^|\s)cxrbench [a-z]")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; its title is the name of the file that it shows."""

    page: Page
    line: int
    language: str
    title: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Line:
    """What is typed in a terminal, of a block or of a sentence.

    ``inline`` ones stand in a sentence and may leave arguments out.
    """

    page: Page
    line: int
    text: str
    inline: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def is_ours(self) -> bool:
        """Whether it calls cxrbench."""
        return bool(_CALL.search(self.text))

    @property
    def words(self) -> list[str]:
        """The words after ``cxrbench``, without what only stands for others."""
        # What follows is the shell's: where output goes, what it becomes.
        ours = re.split(r" [>|] | \| ", self.text)[0]
        # A synopsis: brackets are round what may be left out, dots stand for more of the same.
        ours = re.sub(r"[\[\]]", "", ours)
        words = [word.removesuffix("…") for word in shlex.split(ours, comments=True)]
        start = next(n for n, word in enumerate(words) if word == "cxrbench" and "launch" not in words[n:])
        return [_STANDS_FOR.get(word, word) for word in words[start + 1 :] if word]

    @property
    def output(self) -> str | None:
        """The file that its output goes into."""
        found = re.search(r" > (\S+)", self.text)
        return found[1] if found else None


def blocks(page: Page) -> list[Block]:
    """Its blocks, in order."""
    found = []
    for match in _BLOCK.finditer(page.text):
        title = _TITLE.search(match[3])
        place = page.text[: match.start()].count("\n") + 1
        found.append(Block(page, place, match[2], title[1] if title else None, match[4]))
    return found


def lines(page: Page) -> list[Line]:
    """What is typed: ``$ …`` in blocks, and calls of cxrbench in sentences, in the order of the page."""
    return sorted([*_typed(page), *_mentioned(page)], key=lambda line: line.line)


def _typed(page: Page) -> Iterator[Line]:
    for block in blocks(page):
        if block.language == "console":
            # A line that goes on in the next one keeps its place.
            joined = re.sub(r"\\\n *", "\0", block.text)
            place = block.line
            for text in joined.split("\n"):
                place += 1
                if text.startswith("$ "):
                    yield Line(page, place, text.removeprefix("$ ").replace("\0", "").strip(), inline=False)
                place += text.count("\0")


def _mentioned(page: Page) -> Iterator[Line]:
    outside = _BLOCK.sub(lambda found: "\n" * found[0].count("\n"), page.text)
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
