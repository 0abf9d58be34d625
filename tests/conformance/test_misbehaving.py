"""Plugins that misbehave: checks say how, nothing else suffers, and rows of what fails say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from distributions import command, install, seen_beside

CONDUCT = {
    "sound": "return points",
    "endless": "\n".join(["while True:", "            pass"]),
    "crash": "os._exit(7)",
    "stray": "probabilities[:] = 0.5; return points",
    "short": "return points[:-1]",
    "mute": "return [OperatingPoint(0.5, feasible=False)] * len(points)",
    "nan": "return [OperatingPoint(float('nan'))] * len(points)",
    "raising": "raise KeyError('weights')",
}
"""What each strategy of the plugin does in the end, by its name."""

SECONDS = 5
"""A check may take: enough on a busy machine, and what hangs is waited for."""

STRATEGY = """
class {name}:
    "A strategy of a test."
    tasks = frozenset({{"multilabel"}})

    def fit(self, probabilities, labels, *, calibrated):
        points = [OperatingPoint(0.5)] * probabilities.shape[1]
        {conduct}
"""

HOOK = """
from cxrbench.hookspecs import hookimpl

@hookimpl
def register_thresholds(register):
"""


def registering(*names: str, target: str) -> str:
    lines = (f'    register("{name}", "{target}:{name}", version="1", summary="a test\'s")' for name in names)
    return HOOK + "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin whose strategies misbehave, beside plugins that do so themselves."""
    site = tmp_path_factory.mktemp("site")
    strategies = (STRATEGY.format(name=name, conduct=text) for name, text in CONDUCT.items())
    head = "import os\nfrom cxrbench.interfaces import OperatingPoint\n"
    (site / "strategies.py").write_text(head + "".join(strategies))
    install(site, "conduct", registering(*CONDUCT, target="strategies"))
    install(site, "raises", 'raise RuntimeError("no licence")')
    install(site, "misspelt", registering("other", target="x").replace("thresholds(", "threshold("))
    install(site, "twice", registering("dynamic", target="x"))
    # Only where it is checked: an ordinary command has a time limit of its own, and none helps a crash.
    here = "import os, sys\nif 'cxrbench.conformance.process' in sys.orig_argv:\n    "
    install(site, "crashes", here + "os.abort()\n")
    install(site, "hangs", "import time\n" + here + "time.sleep(3600)\n")
    return site


@pytest.fixture(scope="module")
def checked(site: Path) -> dict[str, Any]:
    """What ``plugins check`` says of each plugin."""
    done = command(site, "plugins", "check", "--json", "--seconds", SECONDS)
    assert done.returncode == 1, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)}


def failed(plugin: dict[str, Any], of: str) -> dict[str, str]:
    """What was seen, by check."""
    return {o["check"]: o["seen"] for o in plugin["outcomes"] if o["of"] == of and o["outcome"] == "failed"}


@pytest.mark.parametrize(
    ("strategy", "check", "seen"),
    [
        ("endless", "gives_a_point_for_each_column", f"did not end within {SECONDS} s"),
        ("crash", "gives_a_point_for_each_column", "The interpreter ended with exit code 7."),
        ("stray", "leaves_its_arguments_alone", "changes its argument 'probabilities'"),
        ("short", "gives_a_point_for_each_column", "3 for 4 columns"),
        ("mute", "gives_its_reasons", "has no reason"),
        ("nan", "gives_its_reasons", "has no reason"),
        ("raising", "gives_a_point_for_each_column", "KeyError: 'weights'"),
    ],
)
def test_a_component_that_misbehaves_is_told_as_such(
    checked: dict[str, Any], strategy: str, check: str, seen: str
) -> None:
    assert seen in failed(checked["conduct"], f"thresholds/{strategy}")[check]


def test_its_neighbours_are_checked_to_the_end(checked: dict[str, Any]) -> None:
    outcomes = [o for o in checked["conduct"]["outcomes"] if o["of"] == "thresholds/sound"]
    assert {o["outcome"] for o in outcomes} == {"passed"}
    assert outcomes[-1]["check"] == "leaves_its_arguments_alone"
    # The plugin is loaded again behind a crash; that is told once.
    of_plugin = [o["check"] for o in checked["conduct"]["outcomes"] if o["of"] == "plugin"]
    assert of_plugin == ["loads", "needs_no_remark"]


@pytest.mark.parametrize(
    ("plugin", "seen"),
    [
        ("raises", "RuntimeError: no licence"),
        ("misspelt", "register_threshold"),
        ("twice", "comes from both cxrbench"),
        ("crashes", "The interpreter ended with SIGABRT."),
        ("hangs", f"did not end within {SECONDS} s"),
    ],
)
def test_a_plugin_that_misbehaves_is_told_as_such(checked: dict[str, Any], plugin: str, seen: str) -> None:
    assert seen in failed(checked[plugin], "plugin")["loads"]
    assert not checked[plugin]["conforms"]


def run(site: Path, *more: object) -> Any:
    small = ("--dataset", "phantom:train_val=160,test=60", "--backbone", "densenet_fpn:use=patient")
    return command(site, "run", *small, "--epochs", 1, "--results", site / "results", "--json", *more)


@pytest.fixture(scope="module")
def remembered(site: Path) -> None:
    """Checked as their author would: what the two fail is known from then on."""
    for name in ("mute", "short"):
        assert command(site, "plugins", "check", f"thresholds/{name}").returncode == 1


@pytest.mark.slow
@pytest.mark.usefixtures("remembered")
def test_rows_of_what_failed_say_so(site: Path) -> None:
    # What misbehaves beside it is warned of, and takes nothing down.
    sound = run(site, "--thresholds", "sound")
    assert sound.returncode == 0, sound.stderr
    assert json.loads(sound.stdout)["runs"][0]["nonconforming"] == []
    assert "plugin raises (cxrbench-raises 1.5) is set aside" in sound.stderr

    refused = run(site, "--thresholds", "sound,mute")
    assert refused.returncode == 2
    assert "failed gives_its_reasons when last checked" in " ".join(refused.stderr.split())
    assert "--allow-nonconforming" in refused.stderr

    allowed = run(site, "--thresholds", "mute", "--allow-nonconforming")
    assert allowed.returncode == 0, allowed.stderr
    (record,) = json.loads(allowed.stdout)["runs"]
    told = "the thresholds 'mute' failed gives_its_reasons"
    assert record["nonconforming"] == [told]
    board = command(site, "leaderboard", "--results", site / "results", "--md", site / "board.md")
    assert board.returncode == 0, board.stderr
    (row,) = [line for line in (site / "board.md").read_text().splitlines() if "conforming" in line]
    assert told in row
    shown = command(site, "show", record["run_id"], "--results", site / "results")
    assert f"NOT CONFORMING: {told}" in shown.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("remembered")
def test_a_mended_component_is_used_again(site: Path) -> None:
    assert run(site, "--thresholds", "short").returncode == 2
    strategies = (site / "strategies.py").read_text()
    (site / "strategies.py").write_text(strategies.replace("points[:-1]", "points"))
    done = command(site, "plugins", "check", "thresholds/short")
    assert done.returncode == 0, done.stdout
    mended = run(site, "--thresholds", "short")
    assert mended.returncode == 0, mended.stderr
    assert json.loads(mended.stdout)["runs"][0]["nonconforming"] == []


def test_help_and_list_answer_whatever_is_installed(site: Path) -> None:
    helped, listed = command(site, "--help"), command(site, "list", "thresholds", "--json")
    assert helped.returncode == listed.returncode == 0
    assert helped.stderr == ""
    assert {"sound", "dynamic"} <= {each["name"] for each in json.loads(listed.stdout)}


def test_a_plugin_may_be_called_as_a_kind_is(tmp_path: Path) -> None:
    install(tmp_path, "loss", "")
    done = command(tmp_path, "plugins", "check", "loss", "--json")
    assert done.returncode == 0, done.stderr
    assert [(each["name"], each["conforms"]) for each in json.loads(done.stdout)] == [("loss", True)]


def test_nothing_of_the_user_s_surroundings_makes_a_check_pass_or_fail(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without assertions no check would fail; a module beside the user would hide that of Python.
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.setenv("PYTHONPATH", seen_beside(site))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "random.py").write_text("raise SystemExit('not that of Python')")
    line = [str(Path(sys.executable).with_name("cxrbench")), "plugins", "check", "raises", "--json"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    (checked,) = json.loads(done.stdout)
    assert "RuntimeError: no licence" in failed(checked, "plugin")["loads"]


def test_a_cache_that_cannot_be_written_to_costs_no_finding(tmp_path: Path) -> None:
    head = "import os\nfrom cxrbench.interfaces import OperatingPoint\n"
    (tmp_path / "strategies.py").write_text(head + STRATEGY.format(name="mute", conduct=CONDUCT["mute"]))
    install(tmp_path, "conduct", registering("mute", target="strategies"))
    (tmp_path / "cache").write_text("no folder")
    done = command(tmp_path, "plugins", "check", "conduct", "--json")
    assert done.returncode == 1
    (checked,) = json.loads(done.stdout)
    assert "gives_its_reasons" in failed(checked, "thresholds/mute")
    assert "warning: What was found is not remembered" in done.stderr
