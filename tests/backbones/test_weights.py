from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor, nn
from torchvision.models import densenet121

from cxrbench.architecture import Architecture
from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.backbones.timm_network import TimmNetwork
from cxrbench.backbones.torchvision_network import TorchvisionNetwork
from cxrbench.backbones.weights import load_weights, weights_hash
from cxrbench.errors import CxrbenchError
from cxrbench.heads.dense import DenseHead
from cxrbench.resizers.learnable import LearnableResizer

State = dict[str, Tensor]
TRUNK = "branches.image.trunk."


def fusion(seed: int, outputs: int = 14) -> nn.Module:
    torch.manual_seed(seed)
    return DensenetFpn().build(outputs, 64, pretrained=False)


def resnet(seed: int, outputs: int) -> nn.Module:
    torch.manual_seed(seed)
    return TimmNetwork(name="resnet10t").build(outputs, 32, pretrained=False)


@pytest.fixture(scope="module")
def densenet() -> State:
    torch.manual_seed(7)
    return dict(densenet121(weights=None).state_dict())


def trunk_equals(network: nn.Module, state: State) -> bool:
    own = network.state_dict()
    names = [name for name in own if name.startswith(TRUNK)]
    return all(torch.equal(own[name], state[name.removeprefix(TRUNK)]) for name in names) and len(names) > 700


def same(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_whole_network_comes_back_as_it_was(tmp_path: Path, suffix: str) -> None:
    source, target = fusion(1), fusion(2)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(source.state_dict(), path)
    else:
        safetensors.torch.save_file(source.state_dict(), path)
    assert not same(source.state_dict(), target.state_dict())
    sentence = load_weights(target, path)
    assert same(source.state_dict(), target.state_dict())
    assert sentence == f"All {len(source.state_dict())} tensors of the network were loaded from {path}."


def old_names(state: State) -> State:
    """As torchvision's files of 2017: ``norm.1`` for ``norm1``, no count of batches."""
    return {
        name.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2."): tensor
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }


WRAPPERS: dict[str, Callable[[State], object]] = {
    "as torchvision saves it": lambda s: s,
    "old names": old_names,
    "no classifier": lambda s: {n: t for n, t in s.items() if not n.startswith("classifier")},
    "nothing after the last block": lambda s: {
        n: t for n, t in s.items() if "norm5" not in n and "class" not in n
    },
    "another classifier": lambda s: {
        **{n: t for n, t in s.items() if "class" not in n},
        "classifier.0.weight": torch.zeros(14, 1024),
        "classifier.0.bias": torch.zeros(14),
    },
    "data parallel": lambda s: {f"module.{n}": t for n, t in s.items()},
    "a training checkpoint": lambda s: {
        "epoch": 3,
        "best_loss": 0.1,
        "state_dict": {f"module.densenet121.{n}": t for n, t in s.items()},
    },
    "under model": lambda s: {"model": s, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}},
    "twice nested": lambda s: {"model": {"state_dict": s}},
}


@pytest.mark.parametrize("form", WRAPPERS)
def test_a_densenet121_fills_the_trunk(densenet: State, tmp_path: Path, form: str) -> None:
    path = tmp_path / "densenet121.pth"
    torch.save(WRAPPERS[form](densenet), path)
    network = fusion(3)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sentence = load_weights(network, path)
    counted = {name: t for name, t in densenet.items() if not name.endswith("num_batches_tracked")}
    own = network.state_dict()
    assert all(
        torch.equal(own[TRUNK + name], tensor)
        for name, tensor in counted.items()
        if not name.startswith(("classifier", "features.norm5"))
    )
    assert all(torch.equal(before[name], own[name]) for name in own if not name.startswith(TRUNK))
    assert sentence.endswith(
        f"of the network's {len(own)} tensors were loaded from {path}; the others keep their random start."
    )


def test_timms_densenet121_fills_the_trunk(tmp_path: Path) -> None:
    state = timm.create_model("densenet121", num_classes=3).state_dict()
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    network = fusion(3)
    load_weights(network, tmp_path / "model.safetensors")
    assert trunk_equals(network, state)


def test_a_timm_network_takes_another_head_and_keeps_its_own(tmp_path: Path) -> None:
    source, target = resnet(1, outputs=1000), resnet(2, outputs=14)
    torch.save(source.state_dict(), tmp_path / "imagenet.pth")
    head = target.state_dict()["fc.weight"].clone()
    load_weights(target, tmp_path / "imagenet.pth")
    own = target.state_dict()
    assert torch.equal(own["fc.weight"], head)
    assert all(torch.equal(t, own[n]) for n, t in source.state_dict().items() if not n.startswith("fc."))


def test_a_timm_network_takes_the_head_too_where_it_fits(tmp_path: Path) -> None:
    source, target = resnet(1, outputs=14), resnet(2, outputs=14)
    torch.save(source.state_dict(), tmp_path / "own.pth")
    load_weights(target, tmp_path / "own.pth")
    assert same(source.state_dict(), target.state_dict())


def test_a_network_without_a_pretrained_part_is_filled_whole_or_not_at_all(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "linear.pt")
    load_weights(nn.Linear(3, 2), tmp_path / "linear.pt")
    with pytest.raises(CxrbenchError, match="weight is 2×3 in the file and 4×3 in the network"):
        load_weights(nn.Linear(3, 4), tmp_path / "linear.pt")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("features.conv0.weight"), "features.conv0.weight is not in the file"),
        (lambda s: s.update({"features.extra": torch.zeros(2)}), "features.extra is not in the network"),
        (
            lambda s: s.update({"features.conv0.weight": torch.zeros(64, 1, 7, 7)}),
            "features.conv0.weight is 64×1×7×7 in the file and 64×3×7×7 in the network",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(
    densenet: State, tmp_path: Path, change: Callable[[State], object], named: str
) -> None:
    state = dict(densenet)
    change(state)
    torch.save(state, tmp_path / "wrong.pth")
    network = fusion(4)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(CxrbenchError, match="do not fit the network") as refusal:
        load_weights(network, tmp_path / "wrong.pth")
    assert f": {named};" in str(refusal.value)
    assert same(before, network.state_dict())


def test_another_network_is_refused_with_a_few_of_the_names(tmp_path: Path) -> None:
    torch.save(resnet(1, 14).state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(CxrbenchError, match=r"do not fit the network: .*; .*; .* and \d+ more;"):
        load_weights(fusion(1), tmp_path / "resnet.pth")


class Explosive:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, zipped: bool) -> None:
    marker = tmp_path / "it_ran"
    path = tmp_path / "model.pth"
    torch.save(
        {"state_dict": {"weight": torch.zeros(2, 3)}, "args": Explosive(marker)},
        path,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(
        CxrbenchError, match=r"refused because it is not a PyTorch checkpoint of tensors alone"
    ):
        load_weights(nn.Linear(3, 2), path)
    assert not marker.exists()


def test_a_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(3, 2), tmp_path / "network.pt")
    with pytest.raises(CxrbenchError, match=r"save its state_dict\(\) to a new file"):
        load_weights(nn.Linear(3, 2), tmp_path / "network.pt")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pt"])
@pytest.mark.parametrize(
    "content", [b"", b"hello, world", b"PK\x03\x04 cut off", b"\x80\x02h\x01", b"\x80\x02."]
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CxrbenchError, match=name) as refusal:
        load_weights(nn.Linear(3, 2), path)
    assert "\n" not in str(refusal.value)


def test_a_truncated_checkpoint_is_one_sentence(tmp_path: Path) -> None:
    for suffix, save in ((".pt", torch.save), (".safetensors", safetensors.torch.save_file)):
        path = tmp_path / f"weights{suffix}"
        save(nn.Linear(300, 200).state_dict(), path)
        path.write_bytes(path.read_bytes()[:-1000])
        with pytest.raises(CxrbenchError, match="may be damaged or incomplete"):
            load_weights(nn.Linear(300, 200), path)


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.zeros(2)], torch.zeros(2), {"model": {"epoch": 3}}])
def test_a_file_without_named_tensors_says_so(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(CxrbenchError, match="holds no weights"):
        load_weights(nn.Linear(3, 2), tmp_path / "weights.pt")


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CxrbenchError, match=f"There is no weights file .*{name}"):
        load_weights(nn.Linear(3, 2), tmp_path / name)
    with pytest.raises(CxrbenchError, match=f"There is no weights file .*{name}"):
        weights_hash(tmp_path / name)
    with pytest.raises(CxrbenchError, match="cannot be read"):
        weights_hash(tmp_path)


def test_the_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"some bytes")
    assert weights_hash(tmp_path / "weights.pt") == hashlib.sha256(b"some bytes").hexdigest()


@pytest.mark.parametrize("form", WRAPPERS)
def test_a_densenet121_fills_the_features_behind_a_resizer_and_below_another_head(
    densenet: State, tmp_path: Path, form: str
) -> None:
    if form == "nothing after the last block":
        pytest.skip("the features end with the norm that such a file lacks")
    path = tmp_path / "chexnet.pth"
    torch.save(WRAPPERS[form](densenet), path)
    network = Architecture(
        TorchvisionNetwork(name="densenet121"), DenseHead(layers=2, neurons=64), LearnableResizer(side=64)
    ).build(4, 80, pretrained=False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    load_weights(network, path)
    own, prefix = network.state_dict(), "network.features."
    for name, tensor in own.items():
        if not name.startswith(prefix):
            assert torch.equal(tensor, before[name]), name
        elif not name.endswith("num_batches_tracked"):
            assert torch.equal(tensor, densenet[name.removeprefix(prefix)]), name


def test_another_networks_weights_are_refused_for_features(densenet: State, tmp_path: Path) -> None:
    path = tmp_path / "densenet121.pth"
    torch.save(densenet, path)
    network = DenseHead().network(TorchvisionNetwork(name="resnet18"), 4, 64, False)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(CxrbenchError, match=r"do not fit the network: .*; use a file of this network"):
        load_weights(network, path)
    assert same(before, network.state_dict())
