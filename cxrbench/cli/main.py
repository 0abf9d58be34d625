"""The ``cxrbench`` command; a command's module is imported when it is used or listed."""

from __future__ import annotations

import importlib

import rich_click as click

from cxrbench import __version__

_COMMANDS = {
    "run": "cxrbench.cli.run:run",
    "list": "cxrbench.cli.listing:list_components",
    "show": "cxrbench.cli.show:show",
    "verify": "cxrbench.cli.verify:verify",
    "store": "cxrbench.cli.store:store",
    "plugins": "cxrbench.cli.plugins:plugins",
}
"""In the order in which ``--help`` lists them. The modules import what is heavy inside their functions."""


class _LazyGroup(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="cxrbench")
def main() -> None:
    """The chest X-ray benchmark: train, calibrate, threshold, evaluate, compare.

    Not for clinical use.

    Example: cxrbench run --backbone densenet_fpn --thresholds dynamic
    """
