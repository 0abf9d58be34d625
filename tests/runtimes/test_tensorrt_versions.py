"""The TensorRT adapter against the published wheels of torch-tensorrt: their own Python sources."""

import ast
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from cxrbench.errors import CxrbenchError
from cxrbench.latency.choice import choices
from cxrbench.plugins import load_plugins
from cxrbench.runtimes.tensorrt_versions import (
    Wish,
    compile_arguments,
    debugger_arguments,
    formats_of,
    unsupported,
    version_of,
)

VERSIONS = ("2.10.0", "2.11.0", "2.12.0", "2.13.0", "2.14.0")
WISHES = [
    Wish(precision, casting, 1024, cache)
    for precision in ("fp32", "tf32", "fp16", "bf16")
    for casting in ("module", "autocast")
    for cache in (None, Path("engines"))
]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The folder of each wheel's Python files, downloaded as package files once."""
    folders = {}
    for version in VERSIONS:
        folder = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        where = ["--platform", "manylinux_2_28_x86_64", "--python-version", "3.11"]
        wanted = ["--dest", str(folder), f"torch-tensorrt=={version}"]
        try:
            done = subprocess.run(
                [*command, *where, *wanted], capture_output=True, text=True, timeout=120, check=False
            )
        except subprocess.TimeoutExpired:
            pytest.skip("no package index answers, so the wheels of torch-tensorrt cannot be looked at")
        if done.returncode:
            pytest.skip(
                f"the wheel of torch-tensorrt {version} cannot be had here: {done.stderr.strip()[-120:]}"
            )
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.endswith(".py")])
        folders[version] = folder / "torch_tensorrt"
    return folders


def function(path, name):
    """A function of a file, or a method as ``Class.method``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    *owner, wanted = name.split(".")
    body = tree.body
    for cls in owner:
        (found,) = (node for node in body if isinstance(node, ast.ClassDef) and node.name == cls)
        body = found.body
    (found,) = (node for node in body if isinstance(node, ast.FunctionDef) and node.name == wanted)
    return found


def named(found):
    """The parameters that a function names; what is beyond goes into ``**kwargs`` and may be ignored."""
    return {each.arg for each in (*found.args.args, *found.args.kwonlyargs)}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_argument_is_one_that_the_compiler_names(wheels, version):
    known = named(function(wheels[version] / "dynamo" / "_compiler.py", "compile"))
    assert {"exported_program", "arg_inputs"} <= known
    for wish in WISHES:
        given = compile_arguments(version_of(version), wish, torch.float16)
        assert set(given) <= known, f"{set(given) - known} would be swallowed without a word"


@pytest.mark.parametrize("version", VERSIONS)
def test_explicit_typing_is_asked_for_where_there_is_another(wheels, version):
    known = named(function(wheels[version] / "dynamo" / "_compiler.py", "compile"))
    given = compile_arguments(version_of(version), Wish("fp16"), torch.float16)
    assert given.get("use_explicit_typing", False) == ("use_explicit_typing" in known)
    # With explicit typing it must stay at its default, and is gone later.
    assert "enabled_precisions" not in given


@pytest.mark.parametrize("version", VERSIONS)
def test_the_debugger_takes_its_arguments(wheels, version):
    known = named(function(wheels[version] / "dynamo" / "debug" / "_Debugger.py", "Debugger.__init__"))
    assert set(debugger_arguments(Path("folder"))) <= known
    exported = (wheels[version] / "dynamo" / "__init__.py").read_text(encoding="utf-8")
    assert "import Debugger" in exported


@pytest.mark.parametrize("version", VERSIONS)
def test_layers_are_detailed_only_under_the_debugger(wheels, version):
    source = (wheels[version] / "dynamo" / "conversion" / "_TRTInterpreter.py").read_text(encoding="utf-8")
    told = source[source.index("profiling_verbosity") :][:260].partition("else")[0]
    assert "DETAILED" in told
    # Some versions ask for the profile besides.
    assert "_debugger_config" in told


@pytest.mark.parametrize("version", VERSIONS)
def test_engines_tell_their_layers_and_stop_profiling(wheels, version):
    module = wheels[version] / "dynamo" / "runtime" / "_TorchTensorRTModule.py"
    for method in ("get_layer_info", "disable_profiling"):
        assert named(function(module, f"TorchTensorRTModule.{method}")) == {"self"}


@pytest.mark.parametrize("version", VERSIONS)
def test_engines_are_cached_only_where_weights_can_change(wheels, version):
    source = (wheels[version] / "dynamo" / "conversion" / "_conversion.py").read_text(encoding="utf-8")
    assert "not settings.immutable_weights" in source
    given = compile_arguments(version_of(version), Wish("fp32", cache=Path("engines")), None)
    assert given["immutable_weights"] is False


@pytest.mark.parametrize("version", VERSIONS)
def test_dynamic_shapes_are_named_as_ours(wheels, version):
    source = (wheels[version] / "_Input.py").read_text(encoding="utf-8")
    for name in ("min_shape", "opt_shape", "max_shape", "dtype"):
        assert f'"{name}"' in source


@pytest.mark.parametrize("version", VERSIONS)
def test_engines_are_saved_and_loaded_by_names_that_there_are(wheels, version):
    """What :mod:`cxrbench.export.tensorrt` calls."""
    path = wheels[version] / "_compile.py"
    assert {"module", "file_path", "output_format", "retrace"} <= named(function(path, "save"))
    assert "file_path" in named(function(path, "load"))


def test_tf32_is_off_unless_it_is_what_is_asked_for():
    for version in ((2, 10), (2, 14)):
        off = {p: compile_arguments(version, Wish(p), None)["disable_tf32"] for p in ("fp32", "tf32", "fp16")}
        assert off == {"fp32": True, "tf32": False, "fp16": True}


def test_only_low_precision_is_autocast():
    given = compile_arguments((2, 13), Wish("bf16", "autocast"), torch.bfloat16)
    assert given["enable_autocast"] is True
    assert given["autocast_low_precision_type"] is torch.bfloat16
    assert "enable_autocast" not in compile_arguments((2, 13), Wish("fp32", "autocast"), torch.float32)


def test_versions_are_known_by_major_and_minor():
    assert version_of("2.14.0+cu130") == (2, 14)
    assert unsupported((2, 12)) == ""
    assert "2.10 to 2.14" in unsupported((2, 9))
    assert "<2.15" in unsupported((3, 0))


def layers(*told):
    return json.dumps({"Layers": list(told), "Bindings": []})


def convolution(datatype, key="Format/Datatype", **more):
    return {"Name": "[CONVOLUTION]-[conv1]", "Inputs": [{"Name": "x", key: datatype}], "Outputs": [], **more}


@pytest.mark.parametrize(
    ("datatype", "found"),
    [
        ("Half", ("fp16",)),
        ("Channel major FP16 format where channel % 8 == 0", ("fp16",)),
        ("Float", ("fp32",)),
        ("Row major linear FP32", ("fp32",)),
        ("BFloat16", ("bf16",)),
        ("Thirty-two wide channel vectorized row major Int8 format", ("int8",)),
    ],
)
def test_formats_are_read_off_layer_information(datatype, found):
    assert formats_of([layers(convolution(datatype))]) == found


def test_casts_and_copies_do_not_count_and_names_alone_prove_nothing():
    reformat = {
        "Name": "Reformatting CopyNode",
        "LayerType": "Reformat",
        "Inputs": [{"Format/Datatype": "Float"}],
    }
    assert formats_of([layers(reformat, convolution("Half"))]) == ("fp16",)
    assert formats_of([layers(convolution("Half")), layers(convolution("Float"))]) == ("fp16", "fp32")
    assert formats_of([json.dumps({"Layers": ["[CONVOLUTION]-[conv1]"]})]) == ()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_asked_for_by_name_without_a_gpu_it_says_what_is_missing():
    with pytest.raises(CxrbenchError) as caught:
        choices("tensorrt", ["fp16"], "cpu", load_plugins([]).registry)
    assert caught.value.exit_code == 1
    assert str(caught.value).startswith(
        "The runtime 'tensorrt' cannot run here: TensorRT needs an NVIDIA GPU"
    )
