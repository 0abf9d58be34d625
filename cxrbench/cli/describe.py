"""``cxrbench describe``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from cxrbench.cli.common import Output, common, complete_components, complete_recipes
from cxrbench.cli.data_options import NAME

_EPILOG = """
Example: cxrbench describe --recipe vgg16_finetuned
Example: cxrbench describe --backbone torchvision/vgg16 --head dense:neurons=256,dropout=0.5 --outputs 4

Weights are random: what is counted does not depend on them.
"""

_USUAL_SIZE = 224
"""Of images, where neither a file nor an option says."""


@click.command(epilog=_EPILOG)
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    shell_complete=complete_recipes,
    help="A published system; 'cxrbench recipes' names them.",
)
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
    recipe: str | None,
    config: Path | None,
    trainable: str | None,
    outputs: int | None,
    settings: tuple[str, ...],
    output: Output,
    **given: Any,
) -> None:
    """Describe networks: layers, parameters, FLOPs and activations of one image.

    A file or recipe of several runs is described once for each network among them.
    """
    registry = output.components().registry

    from cxrbench.grid import cells
    from cxrbench.grid import described as settings_of
    from cxrbench.recipes import combined, read
    from cxrbench.specs import read_config

    values: dict[str, Any] = {} if recipe or config else {"image_size": _USUAL_SIZE}
    values |= read(recipe).given if recipe else {}
    values = combined(values, read_config(config) if config else {})
    values |= {name: value for name, value in given.items() if value is not None}
    if trainable is not None:
        settings = (*settings, f"training.trainable={trainable}")
    specs = cells(values, {}, settings, registry)

    from cxrbench.description import described, network_of, outputs_of
    from cxrbench.report.description_table import description_table
    from cxrbench.report.names import apart

    distinct = list({network_of(spec): spec for spec in reversed(specs)}.values())[::-1]
    found = [described(spec, registry, outputs or outputs_of(spec, registry)) for spec in distinct]
    if len(found) == 1:
        output.document(found[0].record())
        output.show(*description_table(found[0]))
        return
    _, names = apart([settings_of(spec, registry) for spec in distinct])
    named = list(zip(names, found, strict=True))
    output.document({"networks": [{"network": name, **each.record()} for name, each in named]})
    for name, each in named:
        output.show(name, *description_table(each), "")
