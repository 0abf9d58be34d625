"""The tutorial of plugins, walked as its reader would: from ``plugins new`` to a row on the leaderboard."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest
from plugin_environment import environment, install

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugin_tutorial.md").read_text(encoding="utf-8")
(WRITTEN,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
"""All that the author writes."""


def test_the_page_says_how_little_it_takes() -> None:
    lines = [line for line in WRITTEN.splitlines() if line.strip()]
    assert len(lines) <= 40
    assert f"It takes {len(lines)} lines of your own" in " ".join(PAGE.split())


def test_the_strategy_keeps_its_promise(tmp_path: Path) -> None:
    (tmp_path / "thresholds.py").write_text(WRITTEN, encoding="utf-8")
    spec90 = runpy.run_path(str(tmp_path / "thresholds.py"))["Spec90"]
    rng = np.random.default_rng(0)
    probabilities = rng.random((500, 3)).round(2)
    labels = (rng.random((500, 3)) < [0.1, 0.5, 0.9]).astype(float)
    for target in (0.9, 0.5):
        points = spec90(target=target).fit(probabilities, labels, calibrated=False)
        for point, p, y in zip(points, probabilities.T, labels.T, strict=True):
            negatives = p[y == 0]
            assert (negatives < point.threshold).mean() >= target
            # It is the lowest: one score less, and the promise is broken.
            assert (negatives < negatives[negatives < point.threshold].max()).mean() < target


@pytest.mark.slow
def test_from_an_idea_to_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    python = environment(tmp_path / ".venv")

    def run(*words: object) -> str:
        line = [str(word) for word in (python, "-m", *words)]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("cxrbench", "plugins", "new", "spec90", "--kind", "thresholds")
    package = tmp_path / "cxrbench-spec90"
    install(python, "--no-deps", "--no-build-isolation", "--editable", str(package))
    assert "cxrbench-spec90" in run("cxrbench", "list", "thresholds")
    (package / "cxrbench_spec90" / "thresholds.py").write_text(WRITTEN, encoding="utf-8")
    run("pytest", "-q", package)
    assert " 0 failed, 0 not made" in run("cxrbench", "plugins", "check", "spec90")

    (asked,) = re.findall(r"^\$ cxrbench (run .*)$", PAGE, re.MULTILINE)
    runs = json.loads(run("cxrbench", *asked.split(), "--json"))["runs"]
    told = [each for each in runs if each["thresholds"] == "spec90"]
    assert len(told) == 2
    assert all(each["nonconforming"] == [] for each in told)
    board = json.loads(run("cxrbench", "leaderboard", "--json"))
    systems = [system for each in board["boards"] for system in each["systems"]]
    assert any("spec90" in system["name"] for system in systems)
