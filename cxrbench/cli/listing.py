"""``cxrbench list``."""

from __future__ import annotations

import rich_click as click

from cxrbench.cli.common import Output, common
from cxrbench.registry import KINDS, Kind


@click.command("list", epilog="Example: cxrbench list thresholds")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@common
def list_components(kind: Kind | None, output: Output) -> None:
    """List components: data sets, backbones, losses, calibrators, threshold strategies."""
    from rich.table import Table

    found = output.components().registry.all(kind)
    output.document(
        [
            {"kind": c.kind, "name": c.name, "version": c.version, "summary": c.summary, "from": c.source}
            for c in found
        ]
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("kind", "name", "version", "summary", "from"):
        table.add_column(column)
    for component in found:
        table.add_row(component.kind, component.name, component.version, component.summary, component.source)
    output.show(table)
