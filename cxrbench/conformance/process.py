"""The process in which a plugin is checked: a JSON request as its argument, events as JSON lines on stdout.

A plugin has parts: its components, the hooks that hear of runs, and its commands. Events: ``{"begin": …}``
before each check and ``{"end": …}`` behind it, ``{"parts": […]}`` once these are known, ``{"finished": …}``.
Whoever started the process holds the clock and sees where it hangs or crashes
(:mod:`cxrbench.conformance.session`). The plugin is imported before anything heavy is.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.commands import GROUP, PluginCommand, installed_points, plugin_commands
from cxrbench.guarding import Raised, guarded
from cxrbench.plugins import Plugins, load_plugins
from cxrbench.registry import Component

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from cxrbench.plugins import Listener
    from cxrbench.testing.check import Subject
    from cxrbench.testing.small_runs import SmallRuns

LOADS = "The module imports, its hooks are ones that there are, and all that it registers is sound and new."
NO_REMARK = "The import takes a moment, since heavy libraries are imported inside components; no hook is old."
CAN_BE_MADE = "The target is imported and is a class, and can be made with its options."

HEARING = ("epoch_ended", "artifact_written", "report_sections")
"""Hooks that are called while work goes on, and so are checked; the others are called when a plugin loads."""


class Reporting:
    """Tells of each check, on what was stdout at the start: whatever a plugin prints goes to stderr."""

    def __init__(self) -> None:
        self._lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)

    def tell(self, **event: Any) -> None:
        """Write one event."""
        self._lines.write(json.dumps(event) + "\n")

    def step(
        self, of: str, check: str, advice: str, call: Callable[[], str | None], long: bool = False
    ) -> bool:
        """Do a check; it is passed where it raises nothing and returns nothing.

        Args:
            of: ``plugin``, or the part: ``KIND/NAME``, ``hook/NAME`` or ``command/NAME``.
            check: its name.
            advice: what is right.
            call: returns why it cannot be made, where it cannot.
            long: whether it may take long, since it compiles.
        """
        self.tell(begin={"of": of, "check": check, "advice": advice, "long": long})
        started = time.perf_counter()
        found = guarded(call)
        outcome, seen, trace = "not made" if found else "passed", found or "", ""
        if isinstance(found, Raised):
            outcome, seen, trace = "failed", found.reason.removeprefix("AssertionError: "), found.trace
        seconds = round(time.perf_counter() - started, 3)
        self.tell(end={"outcome": outcome, "seen": seen, "trace": trace, "seconds": seconds})
        return outcome == "passed"


@dataclass(frozen=True)
class Part:
    """What of a plugin is checked by itself.

    Attributes:
        of: its name, as outcomes have it.
        check: goes through its checks.
        told: the component and its options, where it is one.
    """

    of: str
    check: Callable[[], None]
    told: Mapping[str, Any] = field(default_factory=dict)


def main() -> None:
    """Check what the request names: ``points``, ``uses`` (None: all parts), ``only`` (of these), ``root``."""
    request = json.loads(sys.argv[1])
    reporting = Reporting()
    parts = list(_parts(request, reporting))
    reporting.tell(parts=[{"of": part.of, **part.told} for part in parts])
    for part in parts:
        if request["only"] is None or part.of in request["only"]:
            part.check()
    reporting.tell(finished=True)


def _parts(request: Mapping[str, Any], reporting: Reporting) -> Iterator[Part]:
    """What is asked for, of the plugin alone."""
    points = [p for p in installed_points() if [p.group, p.name, p.value] in request["points"]]
    loaded = _loaded([point for point in points if point.group != GROUP], reporting)
    if loaded is not None:
        root = Path(request["root"]) if request["root"] else None
        for component, options in _components(loaded, request["uses"]):
            check = partial(_check_component, component, options, root, reporting)
            told = {"component": asdict(component), "options": options}
            yield Part(f"{component.kind}/{component.name}", check, told)
        # Where components are named, hooks are not asked for.
        for hook in HEARING if request["uses"] is None else ():
            for listener in loaded.listeners(hook):
                check = partial(_check_hook, hook, listener, request["scratch"], reporting)
                yield Part(f"hook/{hook}", check)
    # Whether a name is taken, commands of other packages say.
    for command in plugin_commands(installed_points()):
        if command.point in points:
            yield Part(f"command/{command.name}", partial(_check_command, command, reporting))


def _loaded(points: list[EntryPoint], reporting: Reporting) -> Plugins | None:
    """The plugin with what it registers; None where it is not sound."""
    loaded = []

    def loads() -> None:
        loaded.append(load_plugins(points))
        for plugin in loaded[0].plugins:
            assert plugin.status != "set aside", f"It is set aside: {plugin.reason}."

    def needs_no_remark() -> None:
        for plugin in loaded[0].plugins:
            assert not plugin.reason, f"It is warned of: {plugin.reason}."

    if not points:
        return load_plugins(())
    if not reporting.step("plugin", "loads", LOADS, loads):
        return None
    reporting.step("plugin", "needs_no_remark", NO_REMARK, needs_no_remark)
    return loaded[0]


def _components(loaded: Plugins, uses: Any) -> list[tuple[Component, dict[str, Any]]]:
    """The components that are asked for, with their options."""
    registry = loaded.registry
    if uses is None:
        return [(c, dict[str, Any]()) for c in registry.all() if c.source != "cxrbench"]
    return [(registry.find(use["kind"], use["name"]), use["options"]) for use in uses]


def _check_component(
    component: Component, options: Mapping[str, Any], root: Path | None, reporting: Reporting
) -> None:
    """Go through the conformance kit with one component."""
    # Not at the top: what a plugin imports by itself is seen before.
    from cxrbench.testing import checks_for
    from cxrbench.testing.check import Subject

    subject, of = Subject(component, options, root), f"{component.kind}/{component.name}"
    # Imports torch for most kinds, which is no component's time.
    checks = checks_for(component.kind)
    if reporting.step(of, "can_be_made", CAN_BE_MADE, partial(_wanting, subject)):
        for check in checks:
            reporting.step(of, check.name, check.advice, partial(check.function, subject), check.long)


def _wanting(subject: Subject) -> str | None:
    """Make the component; what the user has to give where it cannot be made without that."""
    from cxrbench.errors import CxrbenchError
    from cxrbench.options import option_model

    component = subject.component
    of = f"{component.kind}/{component.name}"
    if component.is_family:
        return f"It stands for many; check a member of it, as {of.removesuffix('*')}MEMBER."
    given = {*subject.options, *component.fixed}
    for name, info in option_model(component).model_fields.items():
        if info.is_required() and name not in given:
            return f"It needs the option '{name}'; give it, as {of}:{name}=…"
    made = subject.make()
    if component.kind == "dataset" and subject.root is None:
        try:
            made.read(None)
        except CxrbenchError as error:
            return f"It needs its files; give their folder with --data-root. ({error})"
    return None


def _check_hook(hook: str, listener: Listener, scratch: str, reporting: Reporting) -> None:
    """Call a hook with what runs tell it, and look at what comes of it."""
    from cxrbench.testing import hooks

    # Between checks, so that no hook's time goes by.
    heard = hooks.Heard.of(hook, listener.call, _runs(scratch))
    # What it writes into the folder that it is called in is not left in the user's.
    with contextlib.chdir(scratch):
        if _step(f"hook/{hook}", hooks.takes_what_runs_tell, heard, reporting):
            for check in hooks.CHECKS[hook]:
                _step(f"hook/{hook}", check, heard, reporting)


@cache
def _runs(scratch: str) -> SmallRuns:
    from cxrbench.testing.small_runs import small_runs

    # A folder for each process: what an earlier one made would not be told of again.
    return small_runs(Path(tempfile.mkdtemp(dir=scratch)))


def _check_command(command: PluginCommand, reporting: Reporting) -> None:
    """Import a command, and ask it for help."""
    from cxrbench.testing import commands

    of = f"command/{command.name}"
    needed = [_step(of, check, command, reporting) for check in commands.NEEDED]
    for check in commands.CHECKS if all(needed) else ():
        _step(of, check, command, reporting)


def _step(of: str, check: Callable[[Any], None], subject: object, reporting: Reporting) -> bool:
    from cxrbench.testing.check import advice_of

    return reporting.step(of, check.__name__, advice_of(check), partial(check, subject))


if __name__ == "__main__":
    main()
