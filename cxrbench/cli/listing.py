"""``cxrbench list``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import Output, common
from cxrbench.registry import KINDS, Component, Kind

if TYPE_CHECKING:
    from rich.table import Table


@click.command("list", epilog="Example: cxrbench list thresholds dynamic")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.argument("name", required=False)
@common
def list_components(kind: Kind | None, name: str | None, output: Output) -> None:
    """List components of all kinds, of one KIND, or the options of the one with that NAME."""
    registry = output.components().registry
    if kind is not None and name is not None:
        _show_options(registry.find(kind, name), output)
        return
    found = registry.all(kind)
    output.document(
        [
            {"kind": c.kind, "name": c.name, "version": c.version, "summary": c.summary, "from": c.source}
            for c in found
        ]
    )
    rows = [(c.kind, c.name, c.version, c.summary, c.source) for c in found]
    output.show(_table(("kind", "name", "version", "summary", "from"), rows))


def _show_options(component: Component, output: Output) -> None:
    """A component's options, from its constructor; this imports the component."""
    from cxrbench.options import describe

    options = describe(component)
    output.document(
        {
            "kind": component.kind,
            "name": component.name,
            "version": component.version,
            "summary": component.summary,
            "from": component.source,
            "options": options,
        }
    )
    output.show(f"{component.name}: {component.summary}")
    if options:
        rows = [(o["name"], o["type"], "required" if o["required"] else str(o["default"])) for o in options]
        output.show(_table(("option", "type", "default"), rows))
    else:
        output.show("It takes no options.")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*row)
    return table
