"""The command ``cxrbench hello``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common, results_option


@click.command(epilog="Example: cxrbench hello")
@results_option
@common
def hello(results: Path, output: Output) -> None:
    """Say hello, and how many runs there are."""
    from cxrbench.store import Store

    runs = Store(results, output.reporter, create=False).run_names()
    output.document({"runs": len(runs)})
    output.show(f"Hello! Runs in {results}: {len(runs)}.")
