"""ImageNet weights without a network, and from the local cache.

In processes of their own, because huggingface_hub reads its settings when it is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from cxrbench.backbones.pretrained import create
from cxrbench.errors import CxrbenchError

BUILD = """
import sys, torch
from cxrbench.errors import CxrbenchError
from cxrbench.backbones.densenet_fpn import DensenetFpn
try:
    network = DensenetFpn().build(14, 64, pretrained=True)
except CxrbenchError as error:
    sys.exit(str(error))
print(float(network.branches["image"].trunk.features.conv0.weight.double().sum()))
"""
NOBODY = "http://127.0.0.1:9"


def build(cache: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BUILD],
        env={**os.environ, "HF_HUB_CACHE": str(cache), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"HF_ENDPOINT": NOBODY}, "Connection refused"),
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
    ],
)
def test_without_a_network_one_line_names_the_other_choices(
    tmp_path: Path, environment: dict[str, str], reason: str
) -> None:
    result = build(tmp_path, **environment)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("The ImageNet weights of densenet121.tv_in1k could not be downloaded (")
    assert reason in line
    assert line.endswith("; use --weights FILE for a local file or --weights none for random ones.")


def test_cached_weights_need_no_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = timm.create_model("densenet121", pretrained=False).state_dict()
    repository = tmp_path / "models--timm--densenet121.tv_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    safetensors.torch.save_file(weights, snapshot / "model.safetensors")

    result = build(tmp_path, HF_ENDPOINT=NOBODY)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) == pytest.approx(float(weights["features.conv0.weight"].double().sum()))


def test_a_network_without_published_weights_says_so() -> None:
    unpublished = next(name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights)
    with pytest.raises(CxrbenchError, match=f"no published weights of {unpublished}; use --weights FILE"):
        create(unpublished, pretrained=True)
