"""What ``cxrbench describe`` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxrbench.report.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cxrbench.description import Description


def description_table(description: Description) -> list[RenderableType]:
    """The layers as the forward pass meets them, and the numbers of the whole network."""
    table = plain_table()
    table.add_column("layer")
    table.add_column("type")
    for heading in ("output", "parameters", "trained"):
        table.add_column(heading, justify="right")
    for layer in description.layers:
        table.add_row(
            layer.name,
            layer.type,
            "×".join(map(str, layer.output)),
            f"{layer.parameters:,}" if layer.parameters else "",
            f"{layer.trainable:,}" if layer.trainable else "",
        )
    inputs = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in description.inputs.items())
    trained = " then ".join(f"{number:,}" for number in dict.fromkeys(description.trainable_in_cycles))
    parts = [f"{trained} trained"]
    if description.head is not None:
        parts.append(f"{description.head:,} in the head")
    if description.resizer:
        parts.append(f"{description.resizer:,} in the resizer")
    return [
        table,
        f"inputs: {inputs}",
        f"{description.parameters:,} parameters ({description.parameters_with_statistics:,} with the "
        f"statistics of batch norms), {', '.join(parts)}",
        f"{description.flops / 1e9:.2f} GFLOPs (a multiplication and an addition are two) and "
        f"{description.activations / 1e6:.1f} million activations an image",
    ]
