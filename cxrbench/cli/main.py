"""The ``cxrbench`` command; a command's module is imported when it is used or listed."""

from __future__ import annotations

import gc

import rich_click as click

from cxrbench import __version__
from cxrbench.cli.extra import extra_commands
from cxrbench.cli.lazy import lazy_group
from cxrbench.commands import BUILT_IN

# Imports make very many objects and hardly any garbage: to look through them at every 700th, as Python does
# by itself, costs a twentieth of each start.
gc.set_threshold(10_000)


@click.group(
    cls=lazy_group(BUILT_IN, extra_commands),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="cxrbench")
def main() -> None:
    """The chest X-ray benchmark: train, calibrate, threshold, evaluate, compare.

    Not for clinical use.

    Example: cxrbench run --backbone densenet_fpn --thresholds dynamic
    """
