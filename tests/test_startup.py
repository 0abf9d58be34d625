"""Help, lists and completion import nothing that is heavy, so that they answer at once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from distributions import install, seen_beside

import cxrbench

ROOT = Path(cxrbench.__file__).parents[1]
HEAVY = (
    "cleanlab",
    "jinja2",
    "matplotlib",
    "numpy",
    "optuna",
    "pandas",
    "pydantic",
    "scipy",
    "sklearn",
    "timm",
    "torch",
)
PROBE = """
import json, sys
from cxrbench.cli.main import main
try:
    main(prog_name="cxrbench")
except SystemExit as done:
    code = done.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def start(*arguments, **environment):
    """Run a command in a process of its own: what it prints, its exit code, the modules it imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=ROOT,
        env={**os.environ, "TERM": "dumb", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return done.stdout, code, set(modules)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--help"], "Not for clinical use"),
        (["--version"], cxrbench.__version__),
        (["list"], "densenet_fpn"),
        (["list", "--json"], '"densenet_fpn"'),
        (["plugins", "list"], ""),
        (["plugins", "new", "--help"], "thresholds"),
        (["plugins", "check", "--help"], "KIND/NAME"),
        (["run", "--help"], "--thresholds"),
        (["show", "--help"], "RUN"),
        (["tune", "--help"], "Hyperband"),
        (["latency", "--help"], "--runtimes"),
        (["predict", "--help"], "--heatmaps"),
        (["export", "--help"], "exported-program"),
        (["data", "preview", "--help"], "--augmentation"),
        (["verify", "--help"], "Example"),
        (["data", "audit", "--help"], "--write-exclude"),
        (["data", "explore", "--help"], "--format"),
        (["store", "--help"], "gc"),
    ],
)
def test_light_commands_import_nothing_heavy(arguments, shown):
    stdout, code, modules = start(*arguments)
    assert code in (0, None)
    assert shown in stdout
    assert modules.isdisjoint(HEAVY)


def test_many_plugins_cost_help_nothing(tmp_path):
    """Ten plugins with twenty components each: help imports none of them, and a list no component."""
    for number in range(10):
        calls = "".join(
            f"    register('p{number}_{k}', 'components_{number}:P{k}', version='1', summary='a test')\n"
            for k in range(20)
        )
        hook = "from cxrbench.hookspecs import hookimpl\n\n@hookimpl\ndef register_thresholds(register):\n"
        install(tmp_path, f"many{number}", hook + calls)
    stdout, code, modules = start("--help", PYTHONPATH=seen_beside(tmp_path))
    assert code in (0, None)
    assert "Not for clinical use" in stdout
    assert modules.isdisjoint({f"many{number}_plugin" for number in range(10)} | {*HEAVY, "pluggy"})
    stdout, _, modules = start("list", "thresholds", "--json", PYTHONPATH=seen_beside(tmp_path))
    assert sum(each["name"].startswith("p") for each in json.loads(stdout)) >= 200
    assert {f"many{number}_plugin" for number in range(10)} <= modules
    assert modules.isdisjoint({f"components_{number}" for number in range(10)} | set(HEAVY))


def completed(line):
    """What the shell would offer for a line, and the modules that were imported for it."""
    stdout, _, modules = start(
        _CXRBENCH_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(line.count(" "))
    )
    return [offer.removeprefix("plain,") for offer in stdout.split()], modules


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("cxrbench run --backbone de", ["densenet_fpn"]),
        ("cxrbench run --backbone ti", ["timm/"]),
        ("cxrbench run --thresholds youden,dy", ["youden,dynamic"]),
        ("cxrbench run --loss zz", []),
        ("cxrbench list cal", ["calibrator"]),
        ("cxrbench plu", ["plugins"]),
    ],
)
def test_completion_offers_names_and_imports_nothing_heavy(line, offers):
    offered, modules = completed(line)
    assert offered == offers
    assert modules.isdisjoint(HEAVY)


def test_an_audit_imports_no_torch():
    stdout, code, modules = start("data", "audit", "--no-images", "--json")
    assert code in (0, None)
    assert json.loads(stdout)["clean"]
    assert modules.isdisjoint({"torch", "timm", "matplotlib"})
