"""``cxrbench data explore``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cxrbench.cli.common import Output, common, formats_option
from cxrbench.cli.data_options import data_options, selection_options

if TYPE_CHECKING:
    from cxrbench.report.sheet import Format

_EPILOG = """
Example: cxrbench data explore --dataset nih --data-root DIR --out explore-nih

Labels of all roles are counted, test too, and nothing is fitted; images are shown of train alone. Only
tables and those few images are read.
"""


@click.command(epilog=_EPILOG)
@data_options
@selection_options
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("explore"),
    show_default=True,
    metavar="DIR",
    help="Folder to write into; made where there is none.",
)
@formats_option
@click.option(
    "--images",
    type=click.IntRange(0, 12),
    default=4,
    show_default=True,
    help="How many images to show of each finding.",
)
@click.option("--seed", type=int, default=0, metavar="N", show_default=True, help="Of which images.")
@common
def explore(
    output: Output,
    data_root: Path | None,
    folder: Path,
    forms: tuple[Format, ...],
    images: int,
    seed: int,
    **given: Any,
) -> None:
    """Draw what is in a data set: findings, which go together, in whom, by role; sample images."""
    from cxrbench.exploration import explore, samples_of
    from cxrbench.report.exploration_page import exploration_table, write_exploration
    from cxrbench.selection import read_selected

    read = read_selected(given, data_root, output.components().registry)
    found = explore(read.selected)
    samples = samples_of(read.dataset, data_root, read.selected, images, seed)
    files = write_exploration(folder, found, samples, tuple(dict.fromkeys(forms)))
    for image_id, what in samples.damaged.items():
        output.reporter.warn(f"passed over, as it cannot be read: {image_id} ({what})")
    shown = {
        name: [each.image_id for each in samples.images if each.finding == name] for name in found.together
    }
    output.document(
        {
            "path": str(files[0]),
            "files": [str(path) for path in files],
            **found.record(),
            "samples": shown,
            "damaged": samples.damaged,
        }
    )
    output.show(*exploration_table(found), str(files[0]))
