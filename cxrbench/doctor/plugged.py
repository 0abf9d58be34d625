"""Installed plugins."""

from __future__ import annotations

from collections.abc import Iterable

from cxrbench.doctor.check import Check
from cxrbench.plugins import Plugin


def plugged(plugins: Iterable[Plugin]) -> list[Check]:
    """A line for each plugin; one that was set aside is broken, since somebody installed it to have it."""
    return [_plugin(each) for each in plugins] or [Check("plugins", "plugins", "absent", "none is installed")]


def _plugin(plugin: Plugin) -> Check:
    package = plugin.distribution.partition(" ")[0]
    if plugin.status == "set aside":
        mend = f"pip install --upgrade {package}"
        return Check("plugins", plugin.name, "broken", f"is set aside: {plugin.reason}", mend)
    found = (
        f"{plugin.distribution}, {plugin.components} components, imported in {plugin.import_seconds:.2f} s"
    )
    return Check("plugins", plugin.name, "ok", f"{found}; {plugin.reason}" if plugin.reason else found)
