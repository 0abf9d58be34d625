"""Names, versions and defaults as they were released: a default does not change without a new version.

Keys leave out what equals a default, so an artifact made under an old default would be taken for one of
the new. After a change that has its new version: ``python -m tests.test_snapshot`` writes the snapshot.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import pytest

from cxrbench import stages
from cxrbench.options import bind, option_model
from cxrbench.plugins import load_plugins
from cxrbench.specs import RunSpec, TrainingSpec

SNAPSHOT = Path(__file__).parent / "snapshots" / "components.json"
UPDATE = "python -m tests.test_snapshot"


def current():
    """Version and defaults of everything that has a version, by what it is called."""
    registry = load_plugins([]).registry
    entries = {}
    for component in registry.all():
        # Any member of a family will do: they share their defaults.
        member = registry.find(component.kind, component.name.replace("*", "member"))
        required = [name for name, info in option_model(member).model_fields.items() if info.is_required()]
        assert set(required) <= set(member.fixed), f"{component.name} cannot be used without options"
        entries[f"{component.kind} {component.name}"] = {
            "version": component.version,
            "defaults": bind(member, {}),
        }
    for module in pkgutil.iter_modules(stages.__path__):
        stage = importlib.import_module(f"cxrbench.stages.{module.name}")
        # The training's key leaves out defaults, as those of components do.
        defaults = TrainingSpec().model_dump(mode="json") if module.name == "train" else {}
        entries[f"stage {module.name}"] = {"version": stage.VERSION, "defaults": defaults}
    run = RunSpec().model_dump(mode="json", exclude={"training"})
    # No version: a run's own fields are in keys whether they are defaults or not.
    entries["run"] = {"version": None, "defaults": run}
    return entries


def unversioned(before, now):
    """What has other defaults than before under the same version."""
    return [
        name
        for name in before.keys() & now.keys()
        if before[name]["version"] is not None
        and before[name]["version"] == now[name]["version"]
        and before[name]["defaults"] != now[name]["defaults"]
    ]


def committed():
    return json.loads(SNAPSHOT.read_text(encoding="utf-8"))


def test_no_default_changes_without_a_new_version():
    changed = unversioned(committed(), current())
    assert not changed, f"{', '.join(changed)}: new defaults need a new version; then run '{UPDATE}'"


def test_the_snapshot_is_up_to_date():
    assert committed() == current(), f"run '{UPDATE}', and tell users in a changelog fragment"


ENTRY = {"version": "1", "defaults": {"step": 0.05}}


@pytest.mark.parametrize(
    ("now", "found"),
    [
        (ENTRY, []),
        ({"version": "1", "defaults": {"step": 0.1}}, ["x"]),
        ({"version": "1", "defaults": {}}, ["x"]),
        ({"version": "1", "defaults": {"step": 0.05, "low": 0}}, ["x"]),
        ({"version": "2", "defaults": {"step": 0.1}}, []),
    ],
)
def test_a_changed_default_is_found(now, found):
    assert unversioned({"x": ENTRY, "gone": ENTRY}, {"x": now, "new": ENTRY}) == found


def main():
    now = current()
    if SNAPSHOT.exists() and (changed := unversioned(committed(), now)):
        sys.exit(f"{', '.join(changed)}: new defaults need a new version first.")
    SNAPSHOT.parent.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(now, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
