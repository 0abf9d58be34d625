"""``cxrbench explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cxrbench.cli.common import (
    Output,
    common,
    complete_components,
    complete_runs,
    device_option,
    nonconforming_option,
    results_option,
)
from cxrbench.cli.data_options import NAME, run_data_options

if TYPE_CHECKING:
    from cxrbench.training.devices import DeviceName

_EPILOG = """
Example: cxrbench explain phantom-densenet_fpn-weighted_bce-none-dynamic-s0-1a2b3c4d --boxes

Cut-offs of boxes, and the layer where the network names several, are chosen on annotated images of the role
that thresholds were fitted on; those of test are only scored.
"""


@click.command(epilog=_EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_runs)
@click.option("--images", metavar="ID,…", help="Show these images.")
@click.option("--boxes", is_flag=True, help="Score the maps of all annotated images of test, and show some.")
@click.option(
    "--explainer",
    metavar=NAME,
    default="gradcam",
    show_default=True,
    shell_complete=complete_components("explainer"),
    help="What makes the maps.",
)
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer of the network.  [default: one that the network names, or its last]",
)
@click.option("--findings", metavar="NAME,…", help="To explain.  [default: those that an image has]")
@click.option("--activations", metavar="LAYER", help="Show what this layer gives of each image, too.")
@click.option(
    "--show",
    type=click.IntRange(0, 200),
    default=14,
    show_default=True,
    help="How many images of --boxes to show.",
)
@click.option(
    "--out",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("explain"),
    show_default=True,
    metavar="DIR",
    help="Folder to write into; made where there is none.",
)
@run_data_options
@device_option
@nonconforming_option
@results_option
@common
def explain(
    runs: tuple[str, ...],
    images: str | None,
    boxes: bool,
    explainer: str,
    layer: str | None,
    findings: str | None,
    activations: str | None,
    show: int,
    folder: Path,
    data_root: Path | None,
    test_data_root: Path | None,
    device: DeviceName,
    results: Path,
    output: Output,
) -> None:
    """Show where networks look: heatmaps side by side, and how well they find annotated boxes."""
    from cxrbench.errors import UsageError

    if bool(images) == boxes:
        raise UsageError("Give either --images ID,… or --boxes.")
    registry = output.components().registry

    from cxrbench.options import bind, parse_use

    use = parse_use("--explainer", explainer)
    use = use.model_copy(update={"options": bind(registry.find("explainer", use.name), use.options)})

    from cxrbench.records import read_record
    from cxrbench.report.heatmap_kept import keep_heatmaps
    from cxrbench.report.heatmap_page import write_heatmaps
    from cxrbench.report.localisation_table import localisation_tables
    from cxrbench.store import Store
    from cxrbench.training.devices import device_of
    from cxrbench.workflow.explanations import Request, explained

    store = Store(results, output.reporter, create=False)
    found = explained(
        store,
        registry,
        output.reporter,
        device_of(device),
        [read_record(store.find_run(run)) for run in dict.fromkeys(runs)],
        Request(
            images=_parts(images),
            boxes=boxes,
            explainer=use,
            layer=layer,
            findings=_parts(findings),
            activations=activations,
            show=show,
            data_root=data_root,
            test_data_root=test_data_root,
        ),
    )
    files = write_heatmaps(folder, found)
    keep_heatmaps(store, found)
    output.document({"path": str(files[0]), "files": [str(path) for path in files], **found.record()})
    output.show(*localisation_tables(found), str(files[0]))


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip())) if text else ()
