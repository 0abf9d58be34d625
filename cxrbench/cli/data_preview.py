"""``cxrbench data preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cxrbench.cli.common import Output, common, complete_components, complete_runs, results_option
from cxrbench.cli.data_options import NAME, data_options, selection_options

if TYPE_CHECKING:
    from cxrbench.options import Use
    from cxrbench.registry import Kind, Registry

_KINDS: tuple[Kind, ...] = ("dataset", "preprocessing", "resizer", "augmentation")

_EPILOG = """
Example: cxrbench data preview --augmentation fpn_fusion --preprocessing otsu_mask --images 6

Images are of train, and what training sees is what a run with the same seed sees in its first epochs. With
--run, settings are that run's where no others are given, and its resizer is the trained one.
"""


@click.command(epilog=_EPILOG)
@data_options
@selection_options
@click.option(
    "--preprocessing",
    metavar=NAME,
    shell_complete=complete_components("preprocessing"),
    help="What is done to each whole image.  [default: none]",
)
@click.option(
    "--resizer",
    metavar=NAME,
    shell_complete=complete_components("resizer"),
    help="In front of the network, not trained.  [default: none]",
)
@click.option(
    "--augmentation",
    metavar=NAME,
    shell_complete=complete_components("augmentation"),
    help="What training sees of an image.  [default: affine]",
)
@click.option(
    "--image-size", type=int, metavar="PX", help="Side of the network's input; recommended by the data set."
)
@click.option(
    "--crop", type=float, metavar="SHARE", help="Share of the side that the network sees.  [default: 0.9]"
)
@click.option(
    "--images", type=click.IntRange(1, 16), default=4, show_default=True, help="How many images to show."
)
@click.option(
    "--run", "run_id", metavar="RUN", shell_complete=complete_runs, help="A run whose settings are shown."
)
@results_option
@click.option("--seed", type=int, metavar="N", help="Of images and augmentation.  [default: 0]")
@click.option(
    "--output",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("preview.png"),
    show_default=True,
    metavar="FILE",
    help="PNG file to write.",
)
@common
def preview(
    output: Output,
    data_root: Path | None,
    images: int,
    run_id: str | None,
    results: Path,
    path: Path,
    **given: Any,
) -> None:
    """Show images before and after preprocessing, resizer and augmentation, as a PNG file."""
    from cxrbench.errors import UsageError
    from cxrbench.specs import resolve

    if not path.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {path.absolute().parent}; make it, or give another --output.")
    registry = output.components().registry
    given = {name: value for name, value in given.items() if value is not None}
    weights = None
    if run_id is not None:
        run_id, settings, weights = _of_run(run_id, results, output)
        for name in ("resizer", "image_size"):
            if name in given:
                raise UsageError(
                    f"--run shows what that run's resizer does; leave --{name.replace('_', '-')} out."
                )
        given = {**settings, **given}
    spec = resolve(given, registry)

    from cxrbench.preview import previews_of
    from cxrbench.report.preview_figure import draw_preview

    previews = previews_of(spec, registry, data_root, images, weights)
    uses: dict[str, str] = {kind: _in_short(spec.use(kind), kind, registry) for kind in _KINDS}
    shown = ["preprocessing", *(["resizer"] if spec.resizer.name != "none" else []), "augmentation"]
    told = {**uses, "resizer": f"{uses['resizer']} ({'trained' if weights else 'not trained'})"}
    draw_preview(
        path,
        previews,
        title=f"{uses['dataset']}: {', '.join(f'{kind} {told[kind]}' for kind in shown)}",
        heading=f"Images of train; a network sees {spec.crop:.0%} of their side, at {spec.image_size} pixels",
    )
    numbers = {"image_size": spec.image_size, "crop": spec.crop, "seed": spec.seed}
    ids = [each.image_id for each in previews]
    output.document({"path": str(path), "images": ids, "run": run_id, **uses, **numbers})
    output.show(str(path))


def _of_run(text: str, results: Path, output: Output) -> tuple[str, dict[str, Any], Path]:
    """The id of a run, its settings, and the weights of its network."""
    from cxrbench.errors import UsageError
    from cxrbench.records import read_record
    from cxrbench.store import Store

    store = Store(results, output.reporter, create=False)
    record = read_record(store.find_run(text))
    if record.get("source", "network") != "network":
        raise UsageError(
            f"{record['run_id']} has no network of its own; give --run one that was trained here."
        )
    # What its weights began with does not matter any more, and the file may be gone.
    return record["run_id"], {**record["spec"], "weights": "none"}, store.root / record["weights"]


def _in_short(use: Use, kind: Kind, registry: Registry) -> str:
    """The component with the options that differ from its defaults."""
    from cxrbench.specs import keyed

    return str(use.model_copy(update={"options": keyed(use, kind, registry)["options"]}))
