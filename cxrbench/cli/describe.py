"""``cxrbench describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cxrbench.cli.common import Output, common, complete_components
from cxrbench.cli.data_options import NAME

_EPILOG = """
Example: cxrbench describe --backbone torchvision/vgg16 --head dense:neurons=256,dropout=0.5 --outputs 4

Weights are random: what is counted does not depend on them.
"""

_USUAL_SIZE = 224
"""Of images, where neither a file nor an option says."""


@click.command(epilog=_EPILOG)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="TOML file of a run.")
@click.option("--backbone", metavar=NAME, shell_complete=complete_components("backbone"), help="Network.")
@click.option("--head", metavar=NAME, shell_complete=complete_components("head"), help="Head on its maps.")
@click.option(
    "--resizer", metavar=NAME, shell_complete=complete_components("resizer"), help="Part in front of it."
)
@click.option("--image-size", type=int, metavar="PX", help="Side of the network's input.  [default: 224]")
@click.option("--outputs", type=click.IntRange(1), metavar="N", help="Number of classes.")
@click.option(
    "--task",
    metavar=NAME,
    shell_complete=complete_components("task"),
    help="Instead of --outputs: the classes of this task on the fourteen findings.",
)
@click.option("--trainable", metavar="all|head|LAYER", help="What is trained.  [default: all]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME.key=value",
    help="Option of a component, or of the training.",
)
@common
def describe(
    config: Path | None,
    trainable: str | None,
    outputs: int | None,
    settings: tuple[str, ...],
    output: Output,
    **given: Any,
) -> None:
    """Describe a network: layers, parameters, FLOPs and activations of one image."""
    registry = output.components().registry

    from cxrbench.errors import UsageError
    from cxrbench.grid import cells
    from cxrbench.specs import read_config

    values: dict[str, Any] = read_config(config) if config else {"image_size": _USUAL_SIZE}
    values |= {name: value for name, value in given.items() if value is not None}
    if trainable is not None:
        settings = (*settings, f"training.trainable={trainable}")
    specs = cells(values, {}, settings, registry)
    if len(specs) != 1:
        raise UsageError(f"{config} is of {len(specs)} runs; describe takes a file of one.")

    from cxrbench.description import described, outputs_of
    from cxrbench.report.description_table import description_table

    description = described(specs[0], registry, outputs or outputs_of(specs[0], registry))
    output.document(description.record())
    output.show(*description_table(description))
