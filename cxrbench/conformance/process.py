"""The process in which a plugin is checked: a JSON request as its argument, events as JSON lines on stdout.

Events: ``{"begin": …}`` before each check and ``{"end": …}`` behind it, ``{"components": […]}`` once these
are known, ``{"finished": true}``. Whoever started the process holds the clock and sees where it hangs or
crashes (:mod:`cxrbench.conformance.session`). The plugin is imported before anything heavy is.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cxrbench.commands import installed_points
from cxrbench.plugins import Raised, guarded, load_plugins
from cxrbench.registry import Component

if TYPE_CHECKING:
    from cxrbench.testing.check import Subject

LOADS = "The module imports, its hooks are ones that there are, and all that it registers is sound and new."
NO_REMARK = "The import takes a moment, since heavy libraries are imported inside components; no hook is old."
CAN_BE_MADE = "The target is imported and is a class, and can be made with its options."


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
            of: ``plugin``, or ``KIND/NAME`` of a component.
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


def main() -> None:
    """Check what the request names: ``points``, ``uses`` (None: all components), ``root``."""
    request = json.loads(sys.argv[1])
    reporting = Reporting()
    root = Path(request["root"]) if request["root"] else None
    for component, options in _load(request, reporting):
        _check(component, options, root, reporting)
    reporting.tell(finished=True)


def _load(request: Mapping[str, Any], reporting: Reporting) -> list[tuple[Component, dict[str, Any]]]:
    """The components that are asked for, of the plugin alone, with their options."""
    points = [p for p in installed_points() if [p.group, p.name, p.value] in request["points"]]
    loaded = []

    def loads() -> None:
        loaded.append(load_plugins(points))
        for plugin in loaded[0].plugins:
            assert plugin.status != "set aside", f"It is set aside: {plugin.reason}."

    def needs_no_remark() -> None:
        for plugin in loaded[0].plugins:
            assert not plugin.reason, f"It is warned of: {plugin.reason}."

    if points and not reporting.step("plugin", "loads", LOADS, loads):
        return []
    if points:
        reporting.step("plugin", "needs_no_remark", NO_REMARK, needs_no_remark)
    registry = loaded[0].registry if loaded else load_plugins(()).registry
    if request["uses"] is None:
        asked = [(c, dict[str, Any]()) for c in registry.all() if c.source != "cxrbench"]
    else:
        asked = [(registry.find(use["kind"], use["name"]), use["options"]) for use in request["uses"]]
    reporting.tell(components=[{**asdict(component), "options": options} for component, options in asked])
    return asked


def _check(component: Component, options: Mapping[str, Any], root: Path | None, reporting: Reporting) -> None:
    """Go through the conformance kit with one component."""
    # Not at the top: what a plugin imports by itself is seen before.
    from cxrbench.testing import checks_for
    from cxrbench.testing.check import Subject

    subject, of = Subject(component, options, root), f"{component.kind}/{component.name}"
    if reporting.step(of, "can_be_made", CAN_BE_MADE, partial(_wanting, subject)):
        for check in checks_for(component.kind):
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


if __name__ == "__main__":
    main()
