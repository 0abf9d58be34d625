"""Plugins that misbehave beside a sound one, through the command line: nothing but their own part suffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Answer, invoke, run

from cxrbench import plugins
from cxrbench.plugins import installed

HOOK = "from cxrbench.hookspecs import hookimpl\n\n@hookimpl\ndef register_thresholds(register):\n"
REGISTER = '    register("{name}", "{target}", version="1", summary="a test\'s")\n'

STRATEGIES = """
from cxrbench.interfaces import OperatingPoint

class Sound:
    "The median of the scores."
    tasks = frozenset({"multilabel"})

    def fit(self, probabilities, labels, *, calibrated):
        return [OperatingPoint(sorted(column)[len(column) // 2]) for column in probabilities.T]

class Stray(Sound):
    def fit(self, probabilities, labels, *, calibrated):
        probabilities[:], labels[:] = 0.5, 1
        return [OperatingPoint(0.5)] * probabilities.shape[1]

class Short(Sound):
    def fit(self, probabilities, labels, *, calibrated):
        return [OperatingPoint(0.5)]

class Undefined(Sound):
    def fit(self, probabilities, labels, *, calibrated):
        return [OperatingPoint(float("nan"))] * probabilities.shape[1]

class Raising(Sound):
    def fit(self, probabilities, labels, *, calibrated):
        raise KeyError("weights")

class Exiting(Sound):
    def fit(self, probabilities, labels, *, calibrated):
        raise SystemExit("licence expired")

class Unmade(Sound):
    def __init__(self):
        raise OSError("no licence file")
"""
NAMES = ("sound", "stray", "short", "undefined", "raising", "exiting", "unmade")

ILL = {
    "raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "exits": ("import sys; sys.exit('expired')", "SystemExit: expired"),
    "strange": ("raise type('Gone', (BaseException,), {})('gone')", "Gone: gone"),
    "hangs": ("while True: pass", "it took longer than 2 s and was stopped"),
    "misspelt": (HOOK.replace("thresholds(", "threshold(") + "    pass\n", "register_threshold"),
    "twice": (HOOK + REGISTER.format(name="dynamic", target="x:X"), "'dynamic' comes from both"),
}
"""Modules of plugins, and what is said of each."""


def install(site: Path, name: str, text: str) -> None:
    (site / f"{name}_plugin_here.py").write_text(text)
    info = site / f"cxrbench_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cxrbench-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cxrbench.v1]\n{name} = {name}_plugin_here\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a sound plugin is installed, whose strategies misbehave when they are used."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "strategies_here.py").write_text(STRATEGIES)
    lines = (REGISTER.format(name=name, target=f"strategies_here:{name.title()}") for name in NAMES)
    install(folder, "strategies", HOOK + "".join(lines))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    installed.cache_clear()
    yield folder
    installed.cache_clear()


def judged(answer: Answer, strategy: str) -> Any:
    """The figures and thresholds of the run with a strategy."""
    (record,) = [each for each in answer.json["runs"] if each["thresholds"] == strategy]
    return record["metrics"], record["per_finding"]


def test_help_list_and_runs_beside_ill_plugins(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = run(tmp_path / "alone", "--thresholds", "sound")
    assert alone.exit_code == 0, alone.stderr
    for name, (text, _) in ILL.items():
        install(site, name, text)
    monkeypatch.setattr(plugins, "LOAD_SECONDS", 2)
    installed.cache_clear()

    helped = invoke("--help")
    assert (helped.exit_code, helped.stderr) == (0, "")
    commands: dict[str, Callable[[], Answer]] = {
        "list": lambda: invoke("list", "thresholds", "--json"),
        "run": lambda: run(tmp_path / "beside", "--thresholds", "sound"),
    }
    answers = {}
    for command, ask in commands.items():
        answers[command] = answer = ask()
        assert answer.exit_code == 0, answer.stderr
        for name, (_, said) in ILL.items():
            (line,) = [each for each in answer.stderr.splitlines() if f"plugin {name} " in each]
            assert line.startswith(f"warning: plugin {name} (cxrbench-{name} 1.0) is set aside: ")
            assert said in line
    assert {*NAMES, "dynamic"} <= {each["name"] for each in answers["list"].json}
    assert judged(answers["run"], "sound") == judged(alone, "sound")


def test_a_strategy_that_misbehaves_spoils_no_other_run(site: Path, tmp_path: Path) -> None:
    least = ("--set", "min_positives=2")
    alone = run(tmp_path / "alone", "--thresholds", "sound,fixed", *least)
    assert alone.exit_code == 0, alone.stderr
    strategies = ",".join([*NAMES[1:], "sound", "fixed"])
    together = run(tmp_path / "together", "--thresholds", strategies, *least)
    assert together.exit_code == 1
    failed = " ".join(together.stderr.split())
    for name in ("short", "raising", "exiting", "unmade"):
        assert name in failed
    # It is handed what cannot be written to.
    assert "assignment destination is read-only" in failed
    for name in ("sound", "fixed"):
        assert judged(together, name) == judged(alone, name)
    assert any(row["threshold"] is None for row in judged(together, "undefined")[1])


MODULES = {
    "value": ("raise ValueError('no weights')", "ValueError: no weights"),
    "syntax": ("def (:", "SyntaxError"),
    "exit": ("import sys; sys.exit('licence expired')", "SystemExit: licence expired"),
    "strange": ("raise type('Gone', (BaseException,), {})('gone')", "Gone: gone"),
    "lacks": ("", "AttributeError"),
    "types": (
        "class It:\n    'It.'\n    def __init__(self, share: 'no such type' = 1): pass",
        "its constructor's annotations must be types",
    ),
}


@pytest.mark.parametrize("case", MODULES)
def test_a_component_that_cannot_be_read_is_told_in_one_sentence(site: Path, case: str) -> None:
    text, said = MODULES[case]
    (site / f"ill_{case}_here.py").write_text(text)
    install(site, case, HOOK + REGISTER.format(name="ill", target=f"ill_{case}_here:It"))
    installed.cache_clear()
    answer = invoke("list", "thresholds", "ill")
    assert (answer.exit_code, answer.stdout) == (1, "")
    (line,) = answer.stderr.splitlines()
    assert line.startswith("Error: The ")
    assert f"thresholds 'ill' of cxrbench-{case} 1.0 cannot be" in line
    assert said in line
    assert "Traceback" in invoke("list", "thresholds", "ill", "--debug").stderr


def test_one_that_cannot_be_made_is_told_in_one_sentence(site: Path, tmp_path: Path) -> None:
    answer = run(tmp_path / "store", "--thresholds", "unmade")
    assert answer.exit_code == 1
    told = "The thresholds 'unmade' of cxrbench-strategies 1.0 cannot be made (OSError: no licence file)"
    assert told in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr
