"""``cxrbench plugins new``."""

import rich_click as click


@click.command()
def new() -> None:
    """X"""
