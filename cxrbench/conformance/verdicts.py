"""What ``cxrbench plugins check`` found of components, kept in the user's cache folder.

A file for each package, its version and the environment that it is installed in. What was found stands for a
component's name and version until it is checked again: an edited plugin is to be checked again.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cxrbench.files import read_json, write_json
from cxrbench.registry import Component

_OWN = "cxrbench"
"""The source of built-in components, which the tests of cxrbench check."""


def failed_checks(component: Component) -> tuple[str, ...]:
    """The checks that a component failed when it was last checked; none where it never was."""
    if component.source == _OWN:
        return ()
    found = _read(component.source)
    names = (name for entry in found if _is_of(entry, component) for name in entry["failed"])
    return tuple(dict.fromkeys(names))


def remember(component: Component, options: Mapping[str, Any], failed: Sequence[str]) -> None:
    """Keep what a component, made with these options, failed, in the place of what was known of it."""
    if component.source == _OWN:
        return
    kept = [e for e in _read(component.source) if not (_is_of(e, component) and e["options"] == options)]
    entry = {
        "kind": component.kind,
        "name": component.name,
        "version": component.version,
        "options": dict(options),
        "failed": list(failed),
    }
    path = _path(component.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"source": component.source, "components": [*kept, entry]})


def told(component: Component, failed: Iterable[str]) -> str:
    """What rows of a run say of a component that failed checks, in a clause."""
    return f"the {component.kind} '{component.name}' failed {', '.join(failed)}"


def _is_of(entry: Mapping[str, Any], component: Component) -> bool:
    known = entry["kind"], entry["name"], entry["version"]
    return known == (component.kind, component.name, component.version)


def _read(source: str) -> list[dict[str, Any]]:
    # A damaged file is as good as none: checks make it anew.
    with suppress(OSError, ValueError, KeyError):
        entries: list[dict[str, Any]] = read_json(_path(source))["components"]
        return entries
    return []


def _path(source: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(f"{sys.prefix}\n{source}".encode()).hexdigest()[:16]
    return cache / "cxrbench" / "conformance" / f"{key}.json"
