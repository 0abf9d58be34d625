"""The page of every command, made of the command line itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from cxrbench.cli.main import main
from docpages.markdown import code, table

_HEAD = """# Commands

Made of the command line itself; `cxrbench COMMAND --help` says the same. Every command has `--json` (one
document on stdout, everything else on stderr), `-q` and `--debug`. Exit codes: 0 done, 1 something failed,
2 wrong use.
`CXRBENCH_RESULTS` names the folder of the store wherever there is `--results`.

"""


def page() -> str:
    """A section for each command, in the order of ``cxrbench --help``."""
    return _HEAD + "\n".join(_section(path, command) for path, command in commands())


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command that does something, with the words that call it."""
    yield from _below("cxrbench", main)


def _below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    context = click.Context(command, info_name=path)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from _below(f"{path} {name}", below)


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    parts = [f"## {path}\n", _paragraphs(command.help), f"```text\n{path} {usage}\n```\n"]
    options = [each for each in command.get_params(context) if isinstance(each, click.Option)]
    rows = [
        (code(record[0]), _escaped(record[1]))
        for each in options
        if (record := each.get_help_record(context))
    ]
    # What every command has is said once, at the head of the page.
    shared = ("`--json`", "`-q, --quiet`", "`--debug`", "`-h, --help`", "`--help`")
    rows = [row for row in rows if row[0] not in shared]
    if rows:
        parts.append(table(("option", "what it does"), rows))
    return "\n".join([*parts, _epilog(command.epilog)])


def _paragraphs(text: str | None) -> str:
    return _escaped(inspect.cleandoc(text or "")) + "\n"


def _epilog(text: str | None) -> str:
    """Examples as a block, what else is said after it."""
    examples, _, more = inspect.cleandoc(text or "").partition("\n\n")
    shown = f"```console\n{examples.replace('Example: ', '$ ')}\n```\n"
    return f"{shown}\n{_paragraphs(more)}" if more else f"{shown}\n"


def _escaped(text: str) -> str:
    """Words in capitals, options and names stand as they are; nothing of them is Markdown."""
    return re.sub(r"([<>*_\[\]])", r"\\\1", text)
