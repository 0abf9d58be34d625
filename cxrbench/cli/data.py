"""``cxrbench data``: each command is a module of its own."""

from __future__ import annotations

import rich_click as click

from cxrbench.cli.lazy import lazy_group


@click.group(
    cls=lazy_group(
        {
            "audit": "cxrbench.cli.data_audit:audit",
            "explore": "cxrbench.cli.data_explore:explore",
            "preview": "cxrbench.cli.data_preview:preview",
        }
    ),
    epilog="Example: cxrbench data audit --dataset nih --data-root DIR",
)
def data() -> None:
    """Look at data before training: what is wrong with them, what is in them, what a network will see."""
