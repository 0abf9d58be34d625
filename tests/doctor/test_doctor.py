"""The doctor says what is broken, and only that; what is merely absent is no fault."""

import json
import subprocess
import sys
import warnings
from types import SimpleNamespace

import pytest
from conftest import invoke

from cxrbench.doctor import packages
from cxrbench.doctor.gpu import cuda, cudnn, driver
from cxrbench.doctor.machine import machine
from cxrbench.doctor.plugged import plugged
from cxrbench.doctor.runtimes import runtimes
from cxrbench.doctor.stored import stored
from cxrbench.plugins import Plugin
from cxrbench.registry import Component, Registry
from cxrbench.reporter import Reporter
from cxrbench.store import Step, Store


def by_name(checks):
    return {each.name: each for each in checks}


def test_this_machine_is_sound_and_every_extra_and_runtime_is_named(tmp_path):
    answer = invoke("doctor", "--results", tmp_path / "none", "--json")
    checks = {(each["group"], each["name"]): each for each in answer.json["checks"]}
    assert answer.exit_code == 0
    assert answer.json["sound"]
    assert {"torch", "driver", "CUDA", "cuDNN"} == {name for group, name in checks if group == "GPU"}
    assert ("runtimes", "onnxruntime") in checks
    assert ("extras", "tensorrt") in checks
    assert ("extras", "dev") not in checks
    assert checks["store", "store"]["state"] == "absent"
    assert not (tmp_path / "none").exists()


def test_a_package_that_is_missing_or_too_old_is_named_with_the_command_that_mends_it(monkeypatch):
    wanted = ["numpy>=1000", "no-such-package>=2", "click>=8", 'onnx>=1; extra == "onnx"']
    monkeypatch.setattr(packages, "requires", lambda name: wanted)
    old, missing = packages.needed()
    assert (old.name, old.state, old.mend) == ("numpy", "broken", "pip install 'numpy>=1000'")
    assert missing.found == "is not installed"


def test_what_is_missing_is_named_even_where_the_rest_could_not_be_looked_at(tmp_path):
    script = (
        "import sys\n"
        "sys.modules['psutil'] = sys.modules['filelock'] = None\n"
        "from cxrbench.doctor import packages\n"
        "packages.requires = lambda name: ['no-such-package>=2']\n"
        "from cxrbench.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    line = [sys.executable, "-c", script, "doctor", "--results", str(tmp_path / "none"), "--json"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    broken = [each for each in json.loads(done.stdout)["checks"] if each["state"] == "broken"]
    assert [each["mend"] for each in broken] == ["pip install 'no-such-package>=2'"]


class Raising:
    """A runtime of a plugin that raises when it is asked whether it can run."""

    def unavailable(self, device):
        raise ValueError("boom")


def test_a_runtime_that_raises_is_broken_and_hides_no_other():
    registry = Registry()
    for name, target in (("raising", f"{__name__}:Raising"), ("eager", "cxrbench.runtimes.eager:Eager")):
        registry.add(Component("runtime", name, target, "1", "a test's", "a test"))
    found = by_name(runtimes(registry, "cpu"))
    assert found["raising"].state == "broken"
    assert "ValueError: boom" in found["raising"].found
    assert found["eager"].state == "ok"


def test_an_extra_that_is_missing_is_no_fault(monkeypatch):
    monkeypatch.setattr(packages, "requires", lambda name: ['no-such-package>=2; extra == "onnx"'])
    found = by_name(packages.extras())["onnx"]
    assert found.state == "absent"
    assert found.mend == "pip install 'cxrbench[onnx]'"


def torch_that(*, available, version="13.0", complaint=""):
    """As much of torch as is asked about a GPU, of a machine that is not this one."""

    def is_available():
        if complaint:
            warnings.warn(complaint, stacklevel=2)
        return available

    return SimpleNamespace(
        version=SimpleNamespace(cuda=version), cuda=SimpleNamespace(is_available=is_available)
    )


def test_a_gpu_that_torch_cannot_use_is_broken_and_no_gpu_is_not(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert cuda(torch_that(available=False), has_driver=False).state == "absent"
    old = cuda(torch_that(available=False, complaint="driver is too old"), has_driver=True)
    assert old.state == "broken"
    assert "driver is too old" in old.found
    plain = cuda(torch_that(available=False, version=None), has_driver=True)
    assert (plain.state, plain.mend) == ("broken", "pip install --force-reinstall torch torchvision")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cuda(torch_that(available=False), has_driver=True).state == "absent"


@pytest.mark.parametrize(("number", "words"), [(91002, "9.10.2"), (8902, "8.9.2"), (90100, "9.1.0")])
def test_the_version_of_cudnn_is_read_from_its_number(number, words):
    backend = SimpleNamespace(is_available=lambda: True, version=lambda: number)
    assert cudnn(SimpleNamespace(backends=SimpleNamespace(cudnn=backend))).found == words


def program(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_the_driver_is_asked_by_its_own_tool(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert driver().state == "absent"
    program(tmp_path, "nvidia-smi", "echo 'NVIDIA A10, 550.54, 23028 MiB'")
    assert (driver().state, driver().found) == ("ok", "NVIDIA A10, 550.54, 23028 MiB")
    program(tmp_path, "nvidia-smi", "exit 9")
    assert driver().state == "broken"


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "store", Reporter(quiet=True))
    opened.ensure(
        Step("run", {}, label="phantom"), lambda folder: folder.joinpath("a.txt").write_text("whole")
    )
    return opened


def test_a_sound_store_is_told_with_its_runs(store):
    found = by_name(stored(store.root))
    assert "1 runs" in found["store"].found
    assert found["files"].state == "ok"
    assert "unfinished" not in found


def test_a_file_that_was_cut_off_is_found(store):
    next(store.root.rglob("a.txt")).write_text("who")
    found = by_name(stored(store.root))["files"]
    assert found.state == "broken"
    assert "a.txt has another size" in found.found
    assert found.mend.startswith("cxrbench verify")


def test_a_record_that_cannot_be_read_and_a_newer_store_are_found(store):
    next(store.root.rglob("artifact.json")).write_text("{")
    assert by_name(stored(store.root))["files"].state == "broken"
    (store.root / "store.json").write_text(json.dumps({"schema_version": 99}))
    (newer,) = stored(store.root)
    assert newer.state == "broken"
    assert "newer cxrbench" in newer.found


def test_unfinished_work_and_garbage_are_told_and_are_no_faults(store):
    (store.root / "partial" / "train-x").mkdir(parents=True)
    store.ensure(Step("train", {}), lambda folder: folder.joinpath("w").write_text("weights"))
    found = by_name(stored(store.root))
    assert found["unfinished"].state == found["garbage"].state == "absent"
    assert "gc --unfinished" in found["unfinished"].mend


def test_a_broken_store_ends_with_exit_code_1(store):
    next(store.root.rglob("a.txt")).unlink()
    answer = invoke("doctor", "--results", store.root)
    assert answer.exit_code == 1
    assert "a.txt is missing" in answer.stdout


def test_a_folder_that_cannot_be_written_to_is_broken(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    found = by_name(machine(tmp_path))
    assert found["disk"].state == "broken"
    assert found["memory"].state == "ok"


def test_a_plugin_that_was_set_aside_is_broken():
    aside = Plugin("bad", "bad-pack 1.0", "bad", "set aside", reason="ImportError: no")
    good = Plugin("good", "good-pack 1.0", "good", "loaded", components=2)
    first, second = plugged([aside, good])
    assert (first.state, first.mend) == ("broken", "pip install --upgrade bad-pack")
    assert (second.state, "2 components" in second.found) == ("ok", True)
    assert plugged([])[0].state == "absent"


def test_a_command_of_a_plugin_is_told_as_one():
    (found,) = plugged([Plugin("hello", "hello-pack 1.0", "hello:main", "command")])
    assert (found.state, found.found) == ("ok", "hello-pack 1.0, a command")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_completion_says_where_it_goes(shell):
    text = invoke("completion", shell).stdout
    assert f"cxrbench completion {shell} > ~/" in text
    assert f"_CXRBENCH_COMPLETE={shell}_complete" in text


def test_bash_takes_the_script():
    script = invoke("completion", "bash").stdout
    done = subprocess.run(["bash", "-c", f"{script}\ncomplete -p cxrbench"], capture_output=True, text=True)
    assert "-F _cxrbench_completion cxrbench" in done.stdout
