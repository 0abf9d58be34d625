"""``cxrbench data audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cxrbench.cli.common import Output, common
from cxrbench.cli.data_options import data_options, selection_options

_EPILOG = """
Example: cxrbench data audit --dataset nih --data-root DIR --write-exclude damaged.txt

Ends with exit code 1 where a patient or an image is in two roles, an image belongs to two patients, a
file is damaged, or labels conflict; what else is odd, and images that are not there, are notes.
"""


@click.command(epilog=_EPILOG)
@data_options
@selection_options
@click.option("--no-images", is_flag=True, help="Look at the tables alone, not at the image files.")
@click.option(
    "--write-exclude",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the ids of damaged and of excluded images, as 'cxrbench run --exclude' takes them.",
)
@common
def audit(
    output: Output,
    data_root: Path | None,
    no_images: bool,
    write_exclude: Path | None,
    **given: Any,
) -> None:
    """Count what is there, and say what is wrong with it."""
    from cxrbench.audit import audit, look_at
    from cxrbench.report.audit_tables import audit_tables
    from cxrbench.selection import read_selected

    _check_target(write_exclude, given["exclude"], no_images)
    read = read_selected(given, data_root, output.components().registry)
    pixels = None
    if not no_images:
        pixels = look_at(read.dataset, data_root, read.selected.collection.manifest, output.reporter)
    found = audit(read.whole, read.selected, pixels)
    if write_exclude is not None and pixels is not None:
        from cxrbench.files import write_text

        # With those that are excluded already, so that the file replaces the other.
        left_out = sorted(read.selection.exclude | pixels.damaged.keys())
        write_text(write_exclude, "".join(f"{image_id}\n" for image_id in left_out))
    output.document(found.record())
    output.show(*audit_tables(found))
    if not found.clean:
        raise SystemExit(1)


def _check_target(target: Path | None, exclude: str | None, no_images: bool) -> None:
    from cxrbench.errors import UsageError

    if target is None:
        return
    if no_images:
        raise UsageError("--write-exclude needs the images to be read; leave out --no-images.")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {target.absolute().parent}; make it before --write-exclude.")
    if exclude and target.resolve() == Path(exclude).resolve():
        raise UsageError(f"--write-exclude would replace {target}, which --exclude reads; give another file.")
