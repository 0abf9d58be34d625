"""``cxrbench list``."""

from __future__ import annotations

import rich_click as click

from cxrbench.cli.common import Output, columns, common, complete_components
from cxrbench.registry import KINDS, Component, Kind


def _complete_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Tab completion of components of the KIND that was given."""
    return complete_components(ctx.params.get("kind"))(ctx, parameter, incomplete)


@click.command("list", epilog="Example: cxrbench list thresholds dynamic")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.argument("name", required=False, shell_complete=_complete_names)
@common
def list_components(kind: Kind | None, name: str | None, output: Output) -> None:
    """List components of all kinds, of one KIND, or the options of the one with that NAME."""
    registry = output.components().registry
    if kind is not None and name is not None:
        _show_options(registry.find(kind, name), output)
        return
    found = registry.all(kind)
    output.document([_record(component) for component in found])
    rows = [tuple(_record(component).values()) for component in found]
    output.show(columns(("kind", "name", "version", "summary", "from"), rows))


def _show_options(component: Component, output: Output) -> None:
    """A component's options, from its constructor; this imports the component."""
    from cxrbench.options import describe

    options = describe(component)
    output.document({**_record(component), "options": options})
    output.show(f"{component.name}: {component.summary}")
    if options:
        rows = [(o["name"], o["type"], "required" if o["required"] else str(o["default"])) for o in options]
        output.show(columns(("option", "type", "default"), rows))
    else:
        output.show("It takes no options.")


def _record(component: Component) -> dict[str, str]:
    return {
        "kind": component.kind,
        "name": component.name,
        "version": component.version,
        "summary": component.summary,
        "from": component.source,
    }
