"""``cxrbench errors``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import Output, common, complete_runs, formats_option, results_option

if TYPE_CHECKING:
    from cxrbench.report.sheet import Format

_FOLDER = click.Path(file_okay=False, path_type=Path)

_EPILOG = """
Example: cxrbench errors densenet121-none-fixed-s0-1a2b3c4d resnet50-none-fixed-s0-5e6f7a8b

Only stored predictions are read, and images where the runs' data set has them; nothing is computed again.
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option(
    "--out",
    "folder",
    type=_FOLDER,
    metavar="DIR",
    help="Folder to write into; made where there is none.  [default: errors/… in the store]",
)
@click.option("--data-root", type=_FOLDER, help="Folder of the data set's files, for its images.")
@formats_option
@click.option(
    "--images",
    type=click.IntRange(0, 24),
    default=4,
    show_default=True,
    help="How many images to show of each class and outcome.",
)
@results_option
@common
def errors(
    runs: tuple[str, ...],
    folder: Path | None,
    data_root: Path | None,
    forms: tuple[Format, ...],
    images: int,
    results: Path,
    output: Output,
) -> None:
    """Show where runs of one test set fail: all, one alone, on whom, on which images, on which labels."""
    registry = output.components().registry

    from cxrbench.canonical import digest
    from cxrbench.comparing.stored import StoredRun
    from cxrbench.error_analysis.analysis import analyse
    from cxrbench.error_analysis.panel import panel_of
    from cxrbench.error_analysis.thumbnails import Thumbnails
    from cxrbench.records import read_record
    from cxrbench.report.error_page import error_tables, write_errors
    from cxrbench.report.names import data_of
    from cxrbench.store import Store

    store = Store(results, output.reporter, create=False)
    opened = [StoredRun(store, read_record(store.find_run(run)), "errors") for run in runs]
    found = analyse(panel_of(opened))
    pictures = Thumbnails.of(opened, data_root, registry)
    if pictures.why_none:
        output.reporter.say(pictures.why_none)
    ids = [run.run_id for run in opened]
    out = folder or results / "errors" / (ids[0] if len(ids) == 1 else f"{len(ids)}-runs-{digest(ids)[:8]}")
    files = write_errors(out, found, data_of(opened[0].record), pictures, images, tuple(dict.fromkeys(forms)))
    for image_id, what in pictures.damaged.items():
        output.reporter.warn(f"not shown, as it cannot be read: {image_id} ({what})")
    output.document(
        {
            **found.record(),
            "path": str(files[0]),
            "files": [str(path) for path in files],
            "images_shown": not pictures.why_none,
        }
    )
    output.show(*error_tables(found), str(files[0]))
