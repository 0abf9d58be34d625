"""Options of commands that read a data set: which one, and which of its images with which labels."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from cxrbench.cli.common import F, complete_components

NAME = "NAME[:key=value,…]"
"""How a component is given."""


def data_options(function: F) -> F:
    """Add ``--dataset``, ``--data-root``, ``--exclude`` and ``--labels``, each with one value."""
    for option in (
        click.option("--labels", type=_FILE, help="CSV file of labels that replace the data set's."),
        click.option("--exclude", type=_FILE, help="Text file of image ids, one a line, that are left out."),
        click.option("--data-root", type=_FOLDER, help="Folder of the data set's files."),
        click.option(
            "--dataset",
            metavar=NAME,
            shell_complete=complete_components("dataset"),
            help="Data set.  [default: phantom]",
        ),
    ):
        function = option(function)
    return function


def selection_options(function: F) -> F:
    """Add ``--split`` and ``--sampler``, each with one value."""
    for option in (
        click.option(
            "--sampler",
            metavar=NAME,
            shell_complete=complete_components("sampler"),
            help="Which images are used.  [default: none]",
        ),
        click.option(
            "--split", type=click.Choice(["official", "patient", "image"]), help="Roles.  [default: official]"
        ),
    ):
        function = option(function)
    return function


def run_data_options(function: F) -> F:
    """Add ``--data-root`` and ``--test-data-root``, the files of data sets that stored runs are of."""
    for option in (
        click.option(
            "--test-data-root",
            type=_FOLDER,
            help="Folder of the files of another data set that the runs were tested on.",
        ),
        click.option("--data-root", type=_FOLDER, help="Folder of the files of the runs' data set, if any."),
    ):
        function = option(function)
    return function


_FILE = click.Path(dir_okay=False)
_FOLDER = click.Path(file_okay=False, path_type=Path)
