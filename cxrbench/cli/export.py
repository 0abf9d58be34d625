"""``cxrbench export``."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import (
    Output,
    at_the_end,
    common,
    complete_runs,
    nonconforming_option,
    results_option,
)

_EPILOG = """
Example: cxrbench export nih-densenet_fpn-weighted_bce-none-dynamic-s0-1a2b3c4d --to onnx --out deployed

The file takes batches of any size (tensorrt: of up to 32) and carries labels, calibration, thresholds and how
inputs are prepared. It is run and compared with the network before it is put in place. Not for clinical use.
"""


@click.command(epilog=_EPILOG)
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.option(
    "--to",
    "form",
    type=click.Choice(["onnx", "exported-program", "tensorrt", "openvino"]),
    required=True,
    help="Format.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("export"),
    show_default=True,
    metavar="DIR",
    help="Folder to write into; made where there is none.",
)
@nonconforming_option
@results_option
@common
@at_the_end
def export(run: str, form: str, folder: Path, results: Path, output: Output) -> None:
    """Write a trained network for other tools, checked, with a model card. Not for clinical use."""
    registry = output.components().registry

    from cxrbench.export.exporting import export_run
    from cxrbench.report.tables import marks
    from cxrbench.store import Store

    exported = export_run(Store(results, output.reporter, create=False), registry, run, form, folder)
    output.document(exported.document())
    gap = f"largest difference of a logit: {exported.max_abs_logit:.2g}"
    output.show(*map(str, exported.files), gap, *marks(exported.nonconforming))
