"""Python and the packages that cxrbench needs, or can use, as its own metadata name them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cxrbench.doctor.check import Check

_OF_DEVELOPERS = frozenset({"bench", "dev", "docs", "test"})
"""Extras that nobody needs who uses cxrbench."""


def python() -> Check:
    """The interpreter."""
    running = ".".join(map(str, sys.version_info[:3]))
    wanted = SpecifierSet(metadata("cxrbench")["Requires-Python"] or "")
    found = f"{running}, {sys.executable}"
    if running in wanted:
        return Check("Python", "Python", "ok", found)
    return Check(
        "Python", "Python", "broken", f"{found}; cxrbench needs {wanted}", "python3.11 -m venv .venv"
    )


def needed() -> list[Check]:
    """What cxrbench cannot do without: one line where all of it is there, else a line for each lack."""
    wanted = [each for each in _requirements() if each.marker is None or each.marker.evaluate()]
    lacking = [
        Check("Python", each.name, "broken", found, f"pip install '{each.name}{each.specifier}'")
        for each in wanted
        if (found := _lack(each))
    ]
    return lacking or [Check("Python", "packages", "ok", f"all {len(wanted)} that cxrbench needs")]


def extras() -> list[Check]:
    """A line for each extra of cxrbench: what it brings, and whether that is there."""
    names = [
        name for name in metadata("cxrbench").get_all("Provides-Extra") or [] if name not in _OF_DEVELOPERS
    ]
    return [_extra(name, _of_extra(name)) for name in names]


def _extra(name: str, wanted: Sequence[Requirement]) -> Check:
    lacking = [f"{each.name} {found}" for each in wanted if (found := _lack(each))]
    if lacking:
        return Check("extras", name, "absent", ", ".join(lacking), f"pip install 'cxrbench[{name}]'")
    return Check("extras", name, "ok", ", ".join(f"{each.name} {version(each.name)}" for each in wanted))


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in requires("cxrbench") or []]


def _of_extra(name: str) -> list[Requirement]:
    """What an extra adds to what is needed anyway, less the extras of cxrbench that it names."""
    return [
        each
        for each in _requirements()
        if each.name != "cxrbench"
        and each.marker is not None
        and each.marker.evaluate({"extra": name})
        and not each.marker.evaluate()
    ]


def _lack(wanted: Requirement) -> str:
    """What is wrong with a package; empty where nothing is."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return "is not installed"
    fits = wanted.specifier.contains(found, prereleases=True)
    return "" if fits else f"{found} is installed; {wanted.specifier} is needed"
