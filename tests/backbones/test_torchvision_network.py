from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from cxrbench.backbones.torchvision_network import TorchvisionNetwork
from cxrbench.errors import UsageError


@pytest.mark.parametrize(
    ("name", "pooling"),
    [
        ("alexnet", "avgpool"),
        ("vgg11_bn", "avgpool"),
        ("resnet18", "avgpool"),
        ("googlenet", "avgpool"),
        ("mobilenet_v3_small", "avgpool"),
        ("squeezenet1_1", "classifier"),
    ],
)
def test_features_are_what_torchvision_pools(name: str, pooling: str) -> None:
    backbone = TorchvisionNetwork(name=name)
    features, whole = backbone.features(96, False).eval(), backbone.build(5, 96, False).eval()
    own = whole.state_dict()
    features.load_state_dict({key: own[key] for key in features.state_dict()})
    pooled: list[torch.Tensor] = []
    whole.get_submodule(pooling).register_forward_hook(lambda module, args, output: pooled.append(args[0]))
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        whole(images)
        assert torch.equal(features(images), pooled[0])


def test_densenets_features_end_with_norm_and_relu() -> None:
    network = TorchvisionNetwork(name="densenet121").features(64, False).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        maps = network(images)
        normed = network.get_submodule("features")(images)
    assert torch.equal(maps, normed.relu())
    state = network.state_dict()
    assert sum(t.numel() for n, t in state.items() if not n.endswith("num_batches_tracked")) == 7_037_504


def test_vggs_features_are_drawn_as_torchvision_draws_them() -> None:
    """Though its classifier, which is thrown away, is not drawn at all."""
    network = TorchvisionNetwork(name="vgg11").features(32, False)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    for convolution in convolutions[2:]:
        expected = (2 / (convolution.out_channels * 9)) ** 0.5
        assert float(convolution.weight.std()) == pytest.approx(expected, rel=0.02)
        assert not convolution.bias.any()


def test_of_one_channel_it_does_with_grey_what_three_do() -> None:
    torch.manual_seed(0)
    colour = TorchvisionNetwork(name="resnet18").build(4, 64, False).eval()
    torch.manual_seed(0)
    backbone = TorchvisionNetwork(name="resnet18", grey=True)
    grey = backbone.build(4, 64, False).eval()
    assert len(backbone.mean) == len(backbone.std) == 1
    first = grey.get_submodule("conv1")
    assert (first.in_channels, first.out_channels, first.kernel_size) == (1, 64, (7, 7))
    assert (first.stride, first.padding, first.bias) == ((2, 2), (3, 3), None)
    images = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(grey(images), colour(images.expand(-1, 3, -1, -1)), atol=1e-4)


def test_googlenet_is_normalised_as_it_was_trained() -> None:
    assert TorchvisionNetwork(name="googlenet").mean == (0.5, 0.5, 0.5)
    assert TorchvisionNetwork(name="resnet50").mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(("name", "hint"), [("resnet_50", "torchvision/resnet50"), ("q", "list_models")])
def test_an_unknown_name_is_refused_with_the_near_ones(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=rf"has no network '{name}'; .*{hint}"):
        TorchvisionNetwork(name=name)


def test_a_size_that_the_network_cannot_take_is_refused_before_training() -> None:
    with pytest.raises(UsageError, match=r"torchvision/alexnet cannot take images of 32 px .* 224 px"):
        TorchvisionNetwork(name="alexnet").build(3, 32, False)


BUILD = """
import sys
from cxrbench.backbones.torchvision_network import TorchvisionNetwork
from cxrbench.errors import CxrbenchError
try:
    backbone = TorchvisionNetwork(name="densenet121")
    network = backbone.build(14, 64, pretrained=True)
    features = backbone.features(64, pretrained=True)
except CxrbenchError as error:
    sys.exit(str(error))
for each in (network, features):
    print(float(each.features.denseblock4.denselayer16.conv2.weight.double().sum()))
"""
FILE = "densenet121-a639ec97.pth"


def build(home: Path) -> subprocess.CompletedProcess[str]:
    nobody = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https")}
    return subprocess.run(
        [sys.executable, "-c", BUILD],
        env={**os.environ, **nobody, "TORCH_HOME": str(home), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_published_weights_are_taken_from_torchs_own_folder(tmp_path: Path) -> None:
    """With the names of 2017, as torchvision's file has them."""
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.manual_seed(5)
    state = torchvision.models.densenet121(weights=None).state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(old, folder / FILE)
    result = build(tmp_path)
    assert result.returncode == 0, result.stderr
    expected = float(state["features.denseblock4.denselayer16.conv2.weight"].double().sum())
    assert [float(line) for line in result.stdout.split()] == pytest.approx([expected] * 2)


def test_without_a_network_one_line_names_the_other_choices(tmp_path: Path) -> None:
    result = build(tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("The ImageNet weights of torchvision/densenet121 could not be downloaded (")
    assert line.endswith("; use --weights FILE for a local file or --weights none for random ones.")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes(b"no weights")
    result = build(tmp_path)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert f"{FILE} are damaged; remove the file" in line
