"""OpenVINO in cxrbench: torch itself is the oracle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from cxrbench_openvino.runtime import OpenVino

from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.cli.main import main
from cxrbench.plugins import installed
from cxrbench.testing import checks_for

torch.set_num_threads(1)


def test_it_is_installed_and_loads_nothing_heavy() -> None:
    component = installed().registry.find("runtime", "openvino")
    assert component.source.startswith("cxrbench-openvino ")
    asked = "import sys, cxrbench_openvino; print({'torch', 'openvino'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


@pytest.mark.parametrize("check", checks_for("runtime"), ids=str)
def test_conformance(check: Any) -> None:
    check.run(installed().registry.find("runtime", "openvino"))


def test_an_image_and_patient_data_give_the_logits_of_torch() -> None:
    torch.manual_seed(0)
    network = DensenetFpn().build(3, 64, False).eval()
    inputs = [torch.rand(2, 3, 64, 64), torch.rand(2, 3)]
    with torch.inference_mode():
        expected = network(*inputs)
    engine = OpenVino().build(network, [inputs], "fp32")
    torch.testing.assert_close(engine.run(inputs), expected, atol=1e-4, rtol=1e-4)
    assert engine.proved_precision == "fp32"


def test_a_format_is_offered_only_where_the_processor_has_it() -> None:
    import openvino

    has = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    assert ("bf16" in OpenVino().precisions("cpu")) == ("BF16" in has)


def test_latency_of_a_run(tmp_path: Path) -> None:
    small = ("--dataset", "phantom:train_val=160,test=60", "--backbone", "timm/test_resnet", "--epochs", "1")
    done = CliRunner().invoke(
        main, ["run", *small, "--image-size", "32", "--results", str(tmp_path), "--json"]
    )
    (record,) = json.loads(done.stdout)["runs"]
    asked = ["latency", record["run_id"], "--runtimes", "openvino", "--samples", "30", "--seconds", "1"]
    done = CliRunner().invoke(main, [*asked, "--results", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["runtime"] == "openvino"
    assert row["gate"]["passed"]
    assert row["proved_precision"] == "fp32"
