"""The commands of ``cxrbench``: those that come along, and those of plugins, by names and metadata alone.

A plugin's command is an entry point of group ``cxrbench.commands.v1``: its name is the command's, its target
a click command. It is imported when it is used, so that ``--help`` imports no plugin. None takes the place of
a command of cxrbench, and of two with one name neither is used.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "cxrbench.commands.v1"
"""Ends in the major version of the plugin surface, as :data:`cxrbench.hookspecs.ENTRY_POINT_GROUP` does."""

BUILT_IN = {
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

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""What a command, and a plugin that ``plugins new`` begins, may be called."""


@dataclass(frozen=True, slots=True)
class PluginCommand:
    """A command of a plugin, which is not imported.

    Attributes:
        name: what users type.
        point: names its object.
        problem: why it is not used, in a clause that ends in what to do; empty where it is.
    """

    name: str
    point: EntryPoint
    problem: str = ""


def installed_points() -> list[EntryPoint]:
    """The entry points of all packages whose group is one of cxrbench, of any version."""
    # Not at the top: whoever calls a command of cxrbench does not wait for it.
    from importlib.metadata import entry_points

    found = entry_points()
    return [p for group in found.groups if group.startswith("cxrbench.") for p in found.select(group=group)]


def package_of(point: EntryPoint) -> str:
    """Name and version of the package that brought an entry point."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown package"


def plugin_commands(points: Iterable[EntryPoint]) -> list[PluginCommand]:
    """The commands of these entry points, by name; those of other groups do not count."""
    by_name = defaultdict(list)
    for point in points:
        if point.group == GROUP:
            by_name[point.name].append(point)
    return [
        PluginCommand(name, point, _problem(name, by_name[name]))
        for name in sorted(by_name)
        for point in by_name[name]
    ]


def _problem(name: str, points: list[EntryPoint]) -> str:
    if name in BUILT_IN:
        return f"its command '{name}' has the name of one of cxrbench; its authors should rename it"
    if len(points) > 1:
        packages = " and ".join(sorted(map(package_of, points)))
        return f"the command '{name}' comes from both {packages}; uninstall one of them"
    if not NAME.fullmatch(name):
        return f"'{name}' cannot be the name of a command; its authors should use small letters, digits and -"
    return ""
