"""What many tests share: one thread, a small phantom, a store on a temporary path, the command line."""

from __future__ import annotations

import gc
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import browser, open_page  # noqa: F401  (fixtures of all tests)
from click.testing import CliRunner
from hypothesis import settings
from reference import reference  # noqa: F401  (likewise)

from cxrbench.cli.main import main
from cxrbench.grid import cells
from cxrbench.plugins import installed
from cxrbench.report import sheet
from cxrbench.reporter import Reporter
from cxrbench.store import Store
from cxrbench.workflow import Job, Workflow

torch.set_num_threads(1)
# No example fails for taking long: how busy the machine is says nothing.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")

DPI = sheet.DPI
"""Of figures; tests of these ask for it."""
# Elsewhere they are drawn whole, in half of the dots: compressing these would take a sixth of a run's time.
sheet.DPI //= 2

PHANTOM = "phantom:train_val=240,test=80"
"""Small, and yet every role has patients; few findings have ten positives on tune."""

LIGHT = "densenet_fpn:use=patient"
"""A network that sees patient data alone: it trains in a moment and no image is decoded."""

PIXELS = ("--backbone", "timm/test_resnet:drop_rate=0.2", "--image-size", "32")
"""The smallest network of timm, with dropout."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests go to processes by file; those of the trained reference are one group, and the first."""
    for item in items:
        if item.get_closest_marker("slow"):
            group = "reference" if _needs_reference(item) else str(item.path)
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: not _needs_reference(item))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no garbage collection need look through it."""
    gc.collect()
    gc.freeze()


def _needs_reference(item: pytest.Item) -> bool:
    return "reference" in getattr(item, "fixturenames", ())


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, stdout, stderr."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def invoke(*arguments: object) -> Answer:
    """One command line in this process; whatever is no exit is raised here."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def run(results: Path, *arguments: object, backbone: str | None = LIGHT, dataset: str = PHANTOM) -> Answer:
    """``cxrbench run --json`` of two epochs on the small phantom, with what a test adds."""
    network = ("--backbone", backbone) if backbone else ()
    # Given twice, epochs would be an axis.
    epochs = () if "--epochs" in arguments else ("--epochs", 2)
    base = ("run", "--dataset", dataset, *network, *epochs, "--results", results, "--json")
    return invoke(*base, *arguments)


@pytest.fixture(scope="session")
def begun_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``run(results)`` leaves, for tests that only look at it; others copy it, see :func:`begun`."""
    results = tmp_path_factory.mktemp("begun") / "results"
    answer = run(results)
    assert answer.exit_code == 0, answer.stderr
    return results


@pytest.fixture(scope="session")
def begun(begun_store: Path) -> Callable[[Path], Path]:
    """Copies that store: ``begun(results)``, after which ``run(results)`` answers without any work."""
    return lambda results: Path(shutil.copytree(begun_store, results))


def job_of(results: Path, *, settings: tuple[str, ...] = (), **given: Any) -> Job:
    """A job on a store, without the command line."""
    values = {"dataset": PHANTOM, "backbone": LIGHT, "training": {"epochs": 2, "precision": "fp32"}, **given}
    registry, reporter = installed().registry, Reporter(quiet=True)
    (spec,) = cells(values, {}, settings, registry)
    return Workflow(Store(results, reporter), registry, reporter, torch.device("cpu"), None).job(spec)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and modification time of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def subprocess_environment() -> dict[str, str]:
    """For real processes: this working tree, one thread."""
    root = Path(__file__).resolve().parent.parent
    return {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def plugin(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Installs a module as a plugin, as a package installer would: ``plugin(source)``."""

    def install(source: str) -> None:
        site = tmp_path_factory.mktemp("site")
        name = f"plugin_{site.name.replace('-', '_')}"
        (site / f"{name}.py").write_text(source.replace("THIS", name), encoding="utf-8")
        facts = site / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[cxrbench.v1]\n{name} = {name}\n")
        monkeypatch.syspath_prepend(str(site))
        installed.cache_clear()

    yield install
    monkeypatch.undo()
    installed.cache_clear()


Install = Callable[[str], None]
