"""Commands of plugins, listed from the metadata of their packages and imported when they are used."""

from __future__ import annotations

import functools
from typing import Any

import rich_click as click

from cxrbench.commands import BUILT_IN, PluginCommand, installed_points, package_of, plugin_commands
from cxrbench.reporter import Reporter


@functools.cache
def extra_commands() -> dict[str, click.Command]:
    """The commands of installed plugins by name, never one of cxrbench's; looked for once a process."""
    found = plugin_commands(installed_points())
    return {command.name: DeferredCommand(command) for command in found if command.name not in BUILT_IN}


class DeferredCommand(click.Command):
    """Stands for a plugin's command until it is used: then the command itself takes over.

    One that is not used, since its name is taken, is not listed, and says so.
    """

    def __init__(self, found: PluginCommand) -> None:
        dist = found.point.dist
        package = dist.name if dist else "a plugin"
        told = (dist.metadata["Summary"] if dist else None) or "A command."
        super().__init__(found.name, short_help=f"{told} ({package})", hidden=bool(found.problem))
        self._found = found

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The command's own context: what follows is its own affair."""
        # Not at the top: help needs no plugin.
        from cxrbench.guarding import Raised, guarded

        found = guarded(self._command)
        if not isinstance(found, Raised):
            return found.make_context(info_name, args, parent, **extra)
        if extra.get("resilient_parsing"):  # the shell asks what could follow: nothing
            return super().make_context(info_name, [], parent, **extra)
        told = f"The command '{self.name}' of {package_of(self._found.point)} cannot be used: {found.reason}"
        Reporter().error(found.trace if "--debug" in args else told)
        raise SystemExit(1)

    def _command(self) -> click.Command:
        if self._found.problem:
            raise click.UsageError(self._found.problem)
        command = self._found.point.load()
        if not isinstance(command, click.Command):
            raise TypeError(f"{self._found.point.value} is no click command but {type(command).__name__}")
        return command
