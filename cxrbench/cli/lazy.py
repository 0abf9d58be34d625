"""Command groups whose commands are imported only when used or listed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import rich_click as click


def lazy_group(commands: Mapping[str, str]) -> type[click.RichGroup]:
    """A group of ``name: "module:attribute"``, in the order in which ``--help`` lists them."""

    class LazyGroup(click.RichGroup):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(commands)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            target = commands.get(cmd_name)
            if target is None:
                return None
            module, _, attribute = target.partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command

    return LazyGroup
