"""``cxrbench compare``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import Output, common, complete_runs, results_option


@click.command(
    epilog="Example: cxrbench compare densenet121-none-fixed-s0-1a2b3c4d resnet50-none-fixed-s0-5e6f7a8b"
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", shell_complete=complete_runs)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every row to a CSV file too.",
)
@results_option
@common
def compare(runs: tuple[str, ...], csv_file: Path | None, results: Path, output: Output) -> None:
    """Compare runs of one test set: paired differences with intervals, and what may be said of them.

    Runs that differ in their seed alone are one system; each is compared with that of the first RUN. A system
    of one seed is never called better, since another seed might have given another figure.
    """
    import pandas as pd

    from cxrbench.comparing.paired import as_table
    from cxrbench.comparing.paired import compare as compared
    from cxrbench.comparing.stored import StoredRun
    from cxrbench.files import write_text
    from cxrbench.records import read_record
    from cxrbench.report.comparison_table import comparison_tables
    from cxrbench.store import Store

    store = Store(results, output.reporter, create=False)
    found = compared([StoredRun(store, read_record(store.find_run(run))) for run in runs])
    if csv_file is not None:
        write_text(csv_file, pd.DataFrame(as_table(found)).to_csv(index=False))
    output.document({"comparisons": [each.record() for each in found]})
    output.show(*comparison_tables(found))
