"""``cxrbench data audit``."""

from __future__ import annotations

import rich_click as click


@click.command()
def audit() -> None:
    """Count what is there and what is wrong with it."""
