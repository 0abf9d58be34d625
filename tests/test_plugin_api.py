"""What plugins rely on: no hook and no Protocol changes without a fragment of the changelog that names it.

``snapshots/plugin_api.json`` is the surface of the last release, whose digest stands in ``CHANGELOG.md``; it
is written anew by a release alone: ``python -m tests.test_plugin_api``, after ``towncrier build``.
"""

import dataclasses
import inspect
import json
import re
import sys
from pathlib import Path

import pytest

import cxrbench
from cxrbench import commands, hookspecs, interfaces, sections
from cxrbench.canonical import digest

ROOT = Path(cxrbench.__file__).parents[1]
SNAPSHOT = Path(__file__).parent / "snapshots" / "plugin_api.json"
CHANGELOG = ROOT / "CHANGELOG.md"
MARK = "<!-- plugin surface of the last release: {} -->"
_MARK = re.compile(MARK.format("[0-9a-f]+"))


def surface():
    """Every hook, method, attribute and value that plugins are given or give, with its signature or type."""
    found = {"entry points": [hookspecs.ENTRY_POINT_GROUP, commands.GROUP]}
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, "cxrbench_spec"):
            found[name] = str(inspect.signature(hook))
    for module in (interfaces, sections, hookspecs):
        for cls in vars(module).values():
            if isinstance(cls, type) and cls.__module__ == module.__name__:
                found |= _members(cls)
    return found


def _members(cls):
    found = {cls.__name__: ", ".join(base.__name__ for base in cls.__bases__)}
    fields = {field.name: field for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
    for name, told in vars(cls).get("__annotations__", {}).items():
        default = fields[name].default if name in fields else dataclasses.MISSING
        found[f"{cls.__name__}.{name}"] = told if default is dataclasses.MISSING else f"{told} = {default!r}"
    for name, member in vars(cls).items():
        if inspect.isfunction(member) and (not name.startswith("_") or name == "__call__"):
            found[f"{cls.__name__}.{name}"] = str(inspect.signature(member))
        elif isinstance(member, property):
            found[f"{cls.__name__}.{name}"] = f"property{inspect.signature(member.fget)}"
    return found


def changes(before, now):
    """Names of what differs; of a class that is new or gone its own name alone."""
    names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    whole = {name for name in names if (name in before) != (name in now)}
    return sorted(
        name for name in names if name.partition(".")[0] == name or name.partition(".")[0] not in whole
    )


def untold(names, text):
    """Which of the names do not stand in the text as code."""
    return [name for name in names if not re.search(rf"`{re.escape(name)}(\(.*?\))?`", text)]


def fragments():
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("changelog.d/*.api.md")))


def committed():
    return json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_every_change_since_the_last_release_is_told():
    missing = untold(changes(committed()["surface"], surface()), fragments())
    assert not missing, (
        f"what plugins rely on has changed: name {', '.join(f'`{name}`' for name in missing)} in a fragment "
        "changelog.d/+NAME.api.md, with what plugin authors must do (the snapshot is written by a release)"
    )


def test_the_snapshot_is_that_of_the_last_release():
    log = CHANGELOG.read_text(encoding="utf-8")
    released = re.findall(r"^## (\S+)", log, flags=re.MULTILINE)
    assert committed()["release"] == (released[0] if released else None)
    assert MARK.format(digest(committed()["surface"])) in log, (
        "the snapshot is not what the last release had: restore it, and tell of changes in a fragment"
    )


def test_the_surface_is_all_that_plugins_touch():
    found = surface()
    assert found["register_losses"] == "(register: 'Register') -> 'None'"
    assert found["Dataset.read"] == "(self, root: 'Path | None') -> 'Collection'"
    assert found["Backbone.mean"] == "property(self) -> 'tuple[float, ...]'"
    assert found["Loss.tasks"] == "ClassVar[frozenset[str]]"
    assert found["OperatingPoint.feasible"] == "bool = True"
    assert found["FeatureBackbone"] == "Backbone, Protocol"
    assert {"Register.__call__", "Section.parts", "artifact_written"} <= found.keys()


BEFORE = {"hook": "(a)", "Old": "Protocol", "Old.run": "(self)", "Kept": "Protocol", "Kept.run": "(self)"}


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (BEFORE, []),
        ({**BEFORE, "hook": "(a, b)"}, ["hook"]),
        ({**BEFORE, "Kept.run": "(self, a)"}, ["Kept.run"]),
        ({**BEFORE, "Kept.more": "(self)"}, ["Kept.more"]),
        ({**BEFORE, "New": "Protocol", "New.run": "(self)"}, ["New"]),
        ({name: told for name, told in BEFORE.items() if not name.startswith("Old")}, ["Old"]),
        ({name: told for name, told in BEFORE.items() if name != "hook"}, ["hook"]),
    ],
)
def test_a_change_is_found(now, found):
    assert changes(BEFORE, now) == found


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("New: `Kept.run(self, a)` and `hook`.", []),
        ("Kept.run and hook", ["Kept.run", "hook"]),
        ("`Kept.runs` and `hooks`, `hook(a)` too", ["Kept.run"]),
        ("", ["Kept.run", "hook"]),
    ],
)
def test_a_name_counts_as_code_alone(text, missing):
    assert untold(["Kept.run", "hook"], text) == missing


def main():
    """Write the surface of a release, whose changes stand in the changelog already."""
    released = re.findall(r"^## (\S+)", CHANGELOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if released[:1] in ([], [committed()["release"]]):
        sys.exit(
            "The snapshot is written by a release alone; name what has changed in changelog.d/+NAME.api.md."
        )
    now = surface()
    record = {"release": released[0], "surface": now}
    SNAPSHOT.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    marked = _MARK.sub(MARK.format(digest(now)), CHANGELOG.read_text(encoding="utf-8"))
    CHANGELOG.write_text(marked, encoding="utf-8")


if __name__ == "__main__":
    main()
