"""``cxrbench plugins list``."""

from __future__ import annotations

import rich_click as click

from cxrbench.cli.common import Output, columns, common


@click.command("list", epilog="Example: cxrbench plugins list")
@common
def list_plugins(output: Output) -> None:
    """List installed plugins, with the reason where one is set aside."""
    from cxrbench.plugins import installed

    found = installed().plugins
    output.document(
        [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "module": plugin.module,
                "status": plugin.status,
                "reason": plugin.reason,
                "trace": plugin.trace,
                "components": plugin.components,
                "import_seconds": round(plugin.import_seconds, 3),
            }
            for plugin in found
        ]
    )
    if not found:
        output.show("No plugins are installed; the components of cxrbench itself are in 'cxrbench list'.")
        return
    rows = [
        (p.name, p.distribution, p.status, str(p.components), f"{p.import_seconds:.2f} s", p.reason)
        for p in found
    ]
    output.show(columns(("name", "package", "status", "components", "import", "reason"), rows))
