"""Command groups whose commands are imported only when used or listed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

import rich_click as click


def lazy_group(
    commands: Mapping[str, str],
    more: Callable[[], Mapping[str, click.Command]] = dict,
) -> type[click.RichGroup]:
    """A group of ``name: "module:attribute"``, in the order in which ``--help`` lists them.

    ``more`` gives further ones, asked for only where all are listed or a name is none of the others.
    """

    class LazyGroup(click.RichGroup):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return [*commands, *more()]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            target = commands.get(cmd_name)
            if target is None:
                return more().get(cmd_name)
            module, _, attribute = target.partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command

    return LazyGroup
