"""Checks of the commands that plugins add (:mod:`cxrbench.commands`)."""

from __future__ import annotations

import click
from click.testing import CliRunner

from cxrbench.commands import PluginCommand
from cxrbench.testing.check import require


def is_a_click_command(command: PluginCommand) -> None:
    """The target of the entry point is imported and is a click command or group."""
    found = command.point.load()
    require(isinstance(found, click.Command), f"{command.point.value} is of type {type(found).__name__}.")


def has_a_name_of_its_own(command: PluginCommand) -> None:
    """Its name is small letters, digits and -, and is neither one of cxrbench nor another package's."""
    require(not command.problem, f"It is not used: {command.problem}.")


def says_what_it_does(command: PluginCommand) -> None:
    """It has a docstring or help text, and its package a summary, which 'cxrbench --help' shows beside it."""
    found = command.point.load()
    require((found.help or "").strip(), f"{command.point.value} has no help text.")
    package = command.point.dist
    summary = package.metadata["Summary"] if package else None
    require((summary or "").strip(), "The metadata of its package have no summary (description).")


def answers_help(command: PluginCommand) -> None:
    """'cxrbench NAME --help' shows its help and ends with exit code 0."""
    # Not at the top: the command line is not needed for what comes before.
    from cxrbench.cli.main import main

    done = CliRunner().invoke(main, [command.name, "--help"])
    said = " ".join(done.output.split()[-40:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        said = f"{type(done.exception).__name__}: {done.exception}"
    require(done.exit_code == 0, f"It ends with exit code {done.exit_code}: {said}")
    require(done.stdout.strip(), "It shows nothing.")


NEEDED = (is_a_click_command, has_a_name_of_its_own)
"""Without which the others say nothing."""

CHECKS = (says_what_it_does, answers_help)
