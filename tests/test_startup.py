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
        (["export", "--help"], "--to"),
        (["data", "preview", "--help"], "--augmentation"),
        (["verify", "--help"], "Example"),
        (["data", "audit", "--help"], "--write-exclude"),
        (["data", "explore", "--help"], "--format"),
        (["store", "--help"], "gc"),
        (["doctor", "--help"], "--json"),
        (["completion", "bash"], "_CXRBENCH_COMPLETE"),
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


def completed(line, **environment):
    """What the shell would offer for a line, and the modules that were imported for it."""
    stdout, _, modules = start(
        _CXRBENCH_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(line.count(" ")), **environment
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


def test_completion_of_a_component_is_of_the_kind_before_it():
    offered, modules = completed("cxrbench list thresholds f")
    assert "fixed" in offered
    assert "focal" not in offered
    offered, _ = completed("cxrbench list backbone timm")
    assert "timm/" in offered
    assert "timm/*" not in offered  # what follows is one of the family's
    assert modules.isdisjoint(HEAVY)


@pytest.fixture
def store(tmp_path):
    for name in ("phantom-a-s0-11111111", "phantom-b-s0-22222222"):
        folder = tmp_path / "store" / "runs" / name
        folder.mkdir(parents=True)
        (folder / "artifact.json").write_text("{}")
    # A folder without a record is no run.
    (tmp_path / "store" / "runs" / "phantom-c-s0-33333333").mkdir()
    return tmp_path / "store"


@pytest.mark.parametrize("command", ["show", "compare phantom-a-s0-11111111", "errors", "latency", "verify"])
def test_completion_offers_the_runs_of_the_store_that_the_line_or_the_environment_names(command, store):
    named, modules = completed(f"cxrbench {command} --results {store} phantom-b")
    assert named == ["phantom-b-s0-22222222"]
    assert modules.isdisjoint(HEAVY)
    everywhere, _ = completed(f"cxrbench {command} phantom-", CXRBENCH_RESULTS=str(store))
    assert everywhere == ["phantom-a-s0-11111111", "phantom-b-s0-22222222"]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("cxrbench run --recipe scratch_cnn_", ["scratch_cnn_a", "scratch_cnn_b", "scratch_cnn_tuned"]),
        ("cxrbench recipes show wang_r", ["wang_resnet50"]),
        ("cxrbench tune fused", ["fused_cnn"]),
        ("cxrbench latency RUN --runtimes eager,onnx", ["eager,onnxruntime"]),
        ("cxrbench explain RUN --explainer layer", ["layercam"]),
        ("cxrbench ensemble RUN --search gen", ["genetic"]),
        ("cxrbench predict RUN FILE --explainer hires", ["hirescam"]),
        ("cxrbench completion z", ["zsh"]),
    ],
)
def test_completion_offers_recipes_runtimes_explainers_and_searches(line, offers):
    offered, modules = completed(line)
    assert offered == offers
    assert modules.isdisjoint(HEAVY)
