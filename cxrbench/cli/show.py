"""``cxrbench show``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common, complete_runs, results_option


@click.command(epilog="Example: cxrbench show phantom-densenet_fpn")
@click.argument("run", required=False, shell_complete=complete_runs)
@results_option
@common
def show(run: str | None, results: Path, output: Output) -> None:
    """Show a run: its figures, thresholds and files. Without RUN, list all runs.

    RUN is a run's id, its beginning or its end, as long as only one run has it.
    """
    from cxrbench.records import read_record
    from cxrbench.report.tables import run_details, runs_table
    from cxrbench.store import Store

    store = Store(results, output.reporter, create=False)
    if run is None:
        records = [read_record(artifact) for artifact in store.runs()]
        output.document(records)
        output.show(*runs_table(records) if records else ["The store holds no runs."])
    else:
        record = read_record(store.find_run(run))
        output.document(record)
        output.show(*run_details(record))
