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

_ENTRY = ("kind", "name", "version", "options", "failed")
"""What is kept of a component that was checked."""


def failed_checks(component: Component) -> tuple[str, ...]:
    """The checks that a component failed when it was last checked; none where it never was."""
    return tuple(dict.fromkeys(check for entry in _failed(component) for check in entry["failed"]))


def failed_options(component: Component) -> list[dict[str, Any]]:
    """The options with which it failed: checked again with the same ones, it is judged anew."""
    return [entry["options"] for entry in _failed(component)]


def _failed(component: Component) -> list[dict[str, Any]]:
    if component.source == _OWN:
        return []
    return [e for e in _read(component.source) if _is_of(e, component) and e["failed"]]


def remember(component: Component, options: Mapping[str, Any], failed: Sequence[str]) -> None:
    """Keep what a component, made with these options, failed, in the place of what was known of it.

    Raises:
        OSError: the cache cannot be written to.
    """
    if component.source == _OWN:
        return
    # Not at the top: whoever asks what failed writes nothing.
    import filelock

    known = component.kind, component.name, component.version, dict(options), list(failed)
    entry = dict(zip(_ENTRY, known, strict=True))
    path = _path(component.source)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another check of the same package reads and writes the same file.
    with filelock.FileLock(path.with_suffix(".lock")):
        kept = [e for e in _read(component.source) if not (_is_of(e, component) and e["options"] == options)]
        write_json(path, {"source": component.source, "components": [*kept, entry]})


def told(component: Component, failed: Iterable[str]) -> str:
    """What rows of a run say of a component that failed checks, in a clause."""
    return f"the {component.kind} '{component.name}' failed {', '.join(failed)}"


def _is_of(entry: Mapping[str, Any], component: Component) -> bool:
    known = entry["kind"], entry["name"], entry["version"]
    return known == (component.kind, component.name, component.version)


def _read(source: str) -> list[dict[str, Any]]:
    # A damaged file is as good as none: checks make it anew.
    with suppress(OSError, ValueError, KeyError, TypeError):
        return [{name: entry[name] for name in _ENTRY} for entry in read_json(_path(source))["components"]]
    return []


def _path(source: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(f"{sys.prefix}\n{source}".encode()).hexdigest()[:16]
    return cache / "cxrbench" / "conformance" / f"{key}.json"
