"""The ``cxrbench`` command; a command's module is imported when it is used or listed."""

from __future__ import annotations

import rich_click as click

from cxrbench import __version__
from cxrbench.cli.lazy import lazy_group

_COMMANDS = {
    "run": "cxrbench.cli.run:run",
    "score": "cxrbench.cli.score:score",
    "recipes": "cxrbench.cli.recipes:recipes",
    "tune": "cxrbench.cli.tune:tune",
    "list": "cxrbench.cli.listing:list_components",
    "describe": "cxrbench.cli.describe:describe",
    "show": "cxrbench.cli.show:show",
    "compare": "cxrbench.cli.compare:compare",
    "explain": "cxrbench.cli.explain:explain",
    "ensemble": "cxrbench.cli.ensemble:ensemble",
    "leaderboard": "cxrbench.cli.leaderboard:leaderboard",
    "errors": "cxrbench.cli.errors:errors",
    "latency": "cxrbench.cli.latency:latency",
    "predict": "cxrbench.cli.predict:predict",
    "export": "cxrbench.cli.export:export",
    "data": "cxrbench.cli.data:data",
    "verify": "cxrbench.cli.verify:verify",
    "store": "cxrbench.cli.store:store",
    "plugins": "cxrbench.cli.plugins:plugins",
    "doctor": "cxrbench.cli.doctor:doctor",
    "completion": "cxrbench.cli.completion:completion",
}
"""In the order in which ``--help`` lists them. The modules import what is heavy inside their functions."""


@click.group(
    cls=lazy_group(_COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="cxrbench")
def main() -> None:
    """The chest X-ray benchmark: train, calibrate, threshold, evaluate, compare.

    Not for clinical use.

    Example: cxrbench run --backbone densenet_fpn --thresholds dynamic
    """
