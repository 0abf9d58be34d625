"""``cxrbench plugins new``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common
from cxrbench.registry import KINDS
from cxrbench.scaffold.package import KINDS_OF_PLUGINS


@click.command(epilog="Example: cxrbench plugins new my-strategy --kind thresholds")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS_OF_PLUGINS), required=True, help="What the plugin adds.")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current folder",
    help="Where the folder of the package is made.",
)
@common
def new(name: str, kind: str, into: Path, output: Output) -> None:
    """Begin a plugin: an installable package cxrbench-NAME with a small component that works, and its test.

    Change it until it does what you want.
    """
    from cxrbench.errors import UsageError
    from cxrbench.scaffold.package import Plugin, write

    plugin = Plugin(name, kind)
    taken = {c.name: c for c in output.components().registry.all() if c.kind == kind}.get(plugin.component)
    if kind in KINDS and taken is not None:
        raise UsageError(f"The {kind} '{taken.name}' of {taken.source} has that name; choose another.")
    written = write(plugin, into)
    folder = into / plugin.package
    commands = [
        f'pip install --editable "{folder}[test]"',
        f"python -m pytest {folder}",
        f"cxrbench plugins check {plugin.name}",
    ]
    output.document({"folder": str(folder), "files": [str(path) for path in written], "next": commands})
    output.show(*[str(path) for path in written], "", "next:", *[f"  {command}" for command in commands])
