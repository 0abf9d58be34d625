"""Packages that ``cxrbench plugins new`` writes: whole, installable, and right for every kind."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from conftest import invoke

from cxrbench.plugins import load_plugins
from cxrbench.registry import KINDS, Kind
from cxrbench.scaffold.package import KINDS_OF_PLUGINS, REPORT
from cxrbench.testing import checks_for


def new(into: Path, name: str, kind: str) -> Path:
    answer = invoke("plugins", "new", name, "--kind", kind, "--into", into, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert sorted(answer.json["files"]) == sorted(
        str(path) for path in Path(answer.json["folder"]).rglob("*") if path.is_file()
    )
    return Path(answer.json["folder"])


@pytest.mark.parametrize("kind", KINDS_OF_PLUGINS)
def test_a_package_of_every_kind(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new(tmp_path / "not there yet", f"toy-{kind}", kind)
    assert folder.name == f"cxrbench-toy-{kind}"
    assert {path.name for path in folder.iterdir()} == {
        *(".github", "LICENSE", "README.md", "pyproject.toml"),
        *(f"cxrbench_toy_{kind}", "tests"),
    }
    for path in folder.rglob("*"):
        assert path.is_dir() or "$" not in path.read_text().replace("$ ", "")
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    ((name, module),) = project["project"]["entry-points"]["cxrbench.v1"].items()
    assert name == f"toy-{kind}"

    monkeypatch.syspath_prepend(folder)
    found = load_plugins([EntryPoint(name, module, "cxrbench.v1")])
    (plugin,) = found.plugins
    assert (plugin.status, plugin.reason) == ("loaded", "")
    assert plugin.components == (kind != REPORT)
    for name in [name for name in sys.modules if name.startswith("cxrbench_toy")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("kind", KINDS)
def test_its_component_conforms(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = new(tmp_path, f"fit-{kind}", kind)
    monkeypatch.syspath_prepend(folder)
    module = f"cxrbench_fit_{kind}"
    registry = load_plugins([EntryPoint(f"fit-{kind}", module, "cxrbench.v1")]).registry
    component = registry.find(kind, f"fit_{kind}")
    # 'make test-plugins' makes the long ones, of the installed packages.
    for check in checks_for(kind):
        if not check.long:
            check.run(component)
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, name)


def test_what_comes_next_is_said(tmp_path: Path) -> None:
    answer = invoke("plugins", "new", "my-loss", "--kind", "loss", "--into", tmp_path)
    assert answer.exit_code == 0
    assert "cxrbench-my-loss/pyproject.toml" in answer.stdout
    assert answer.stdout.rstrip().endswith("cxrbench plugins check my-loss")


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("My_Loss", "loss", "'My_Loss' cannot be the name of a package"),
        ("-loss", "loss", "No such option"),
        ("a/b", "loss", "cannot be the name of a package"),
        ("../up", "loss", "cannot be the name of a package"),
        ("none", "loss", "'none' would make a class None, a name that its module needs; choose another."),
        ("engine", "runtime", "'engine' would make a class Engine, a name that its module needs"),
        ("dynamic", "thresholds", "The thresholds 'dynamic' of cxrbench has that name; choose another."),
        ("some", "colour", "Invalid value for '--kind'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    name: str, kind: str, said: str, tmp_path: Path
) -> None:
    answer = invoke("plugins", "new", name, "--kind", kind, "--into", tmp_path)
    assert answer.exit_code == 2
    assert said in " ".join(answer.stderr.split())
    assert not any(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = new(tmp_path, "mine", "loss")
    (folder / "README.md").write_text("my own words")
    answer = invoke("plugins", "new", "mine", "--kind", "sampler", "--into", tmp_path)
    assert answer.exit_code == 2
    assert "is there already" in answer.stderr
    assert (folder / "README.md").read_text() == "my own words"


def test_what_breaks_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "rename", full)
    answer = invoke("plugins", "new", "mine", "--kind", "loss", "--into", tmp_path)
    assert answer.exit_code == 1
    assert "No space left on device" in answer.stderr
    assert not any(tmp_path.iterdir())
