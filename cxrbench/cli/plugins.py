"""``cxrbench plugins``."""

from __future__ import annotations

import rich_click as click

from cxrbench.cli.lazy import lazy_group

_COMMANDS = {
    "list": "cxrbench.cli.plugins_list:list_plugins",
    "new": "cxrbench.cli.plugins_new:new",
    "check": "cxrbench.cli.plugins_check:check",
}


@click.group(cls=lazy_group(_COMMANDS), epilog="Example: cxrbench plugins new my-plugin --kind thresholds")
def plugins() -> None:
    """Plugins: packages that add components to cxrbench."""
