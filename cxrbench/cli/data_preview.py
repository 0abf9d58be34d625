"""``cxrbench data preview``."""

from __future__ import annotations

import rich_click as click


@click.command()
def preview() -> None:
    """Show images before and after preprocessing and augmentation."""
