"""``cxrbench recipes``: the published systems that come along."""

from __future__ import annotations

import sys

import rich_click as click

from cxrbench.cli.common import Output, columns, common, complete_recipes

_EPILOG = """
Example: cxrbench recipes show densenet_fpn_fusion

'cxrbench run --recipe NAME' runs one.
"""


@click.group(invoke_without_command=True, epilog=_EPILOG)
@click.option("--markdown", is_flag=True, help="Print the page of the docs.")
@common
@click.pass_context
def recipes(ctx: click.Context, markdown: bool, output: Output) -> None:
    """List the recipes: published systems, each one TOML file."""
    if ctx.invoked_subcommand is not None:
        return
    from cxrbench.recipes import names, read

    found = [read(name) for name in names()]
    if markdown:
        from cxrbench.recipes.page import page

        print(page(found), end="")
        return
    output.document([{"name": recipe.name, **recipe.about.model_dump(mode="json")} for recipe in found])
    rows = [(recipe.name, recipe.about.title, recipe.about.source) for recipe in found]
    output.show(columns(("recipe", "what it is", "source"), rows))


@recipes.command(epilog="Example: cxrbench recipes show fused_cnn > mine.toml")
@click.argument("name", shell_complete=complete_recipes)
@common
def show(name: str, output: Output) -> None:
    """Print the recipe with that NAME, comments and all."""
    from cxrbench.recipes import read

    recipe = read(name)
    if output.as_json:
        output.document({"name": recipe.name, **recipe.about.model_dump(mode="json"), "text": recipe.text})
    elif sys.stdout.isatty():
        from rich.syntax import Syntax

        output.show(Syntax(recipe.text, "toml", theme="ansi_dark", background_color="default"))
    else:
        # A file that can be changed and run: as it is, not as a terminal would break its lines.
        print(recipe.text, end="")
