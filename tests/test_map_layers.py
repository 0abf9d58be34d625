"""Which layer a network is explained by: every built-in backbone, with heads and a resizer."""

import pytest
import torch

from cxrbench.architecture import architecture_of
from cxrbench.errors import UsageError
from cxrbench.map_layers import layer_of, named_layers
from cxrbench.options import parse_uses
from cxrbench.plugins import installed
from cxrbench.specs import resolve


def built(backbone, size, head="own", resizer="none"):
    """A network with random weights, and noise for it."""
    parts = {
        kind: parse_uses(text)[0].model_dump()
        for kind, text in {"backbone": backbone, "head": head, "resizer": resizer}.items()
    }
    architecture = architecture_of(
        resolve({**parts, "image_size": size}, installed().registry), installed().registry
    )
    torch.manual_seed(0)
    network = architecture.build(3, size, False).eval()
    shapes = {"image": (2, len(architecture.mean), size, size), "patient": (2, 3)}
    return network, [torch.rand(shapes[name]) for name in architecture.inputs]


@pytest.mark.parametrize(
    ("backbone", "size", "head", "resizer", "name", "grid"),
    [
        ("timm/test_resnet", 64, "own", "none", "layer4", (2, 2)),
        ("torchvision/resnet18", 64, "own", "none", "layer4", (2, 2)),
        # Not the adaptive pooling behind it, which would blow its 2 × 2 places up to 6 × 6.
        ("torchvision/alexnet", 96, "own", "none", "features", (2, 2)),
        ("torchvision/densenet121", 64, "own", "none", "features", (2, 2)),
        ("timm/efficientnet_b0", 64, "own", "none", "bn2", (2, 2)),
        # Not behind the last attention: of the tokens there only the class token matters.
        ("timm/vit_tiny_patch16_224", 64, "own", "none", "blocks.11.norm1", (4, 4)),
        ("timm/swin_tiny_patch4_window7_224", 64, "own", "none", "norm", (2, 2)),
        ("fused_cnn", 227, "own", "none", "features", (6, 6)),
        ("scratch_cnn_b", 128, "own", "none", "features", None),
        # The transition's maps: with the prediction layer's weights, ChestX-ray8's own heatmap.
        ("timm/test_resnet", 64, "transition", "none", "head.1", (2, 2)),
        ("timm/test_resnet", 80, "dense", "learnable:side=64", "network.features", (2, 2)),
    ],
)
def test_the_last_layer_whose_places_matter(backbone, size, head, resizer, name, grid):
    network, inputs = built(backbone, size, head, resizer)
    (found,) = named_layers(network, inputs).values()
    assert found.name == name
    assert grid is None or found.grid == grid
    output = []
    with torch.no_grad():
        hook = found.module.register_forward_hook(lambda _m, _i, out: output.append(out))
        network(*inputs)
        hook.remove()
    assert found.maps(output[0]).shape[2:] == found.grid


def test_a_resizer_in_front_leaves_a_pyramids_levels():
    network, inputs = built("densenet_fpn", 80, resizer="learnable:side=64")
    assert {name: layer.grid for name, layer in named_layers(network, inputs).items()} == {
        "P3": (8, 8),
        "P4": (4, 4),
        "P5": (2, 2),
    }


def test_tokens_become_maps_in_their_places():
    network, inputs = built("timm/vit_tiny_patch16_224", 64)
    (layer,) = named_layers(network, inputs).values()
    tokens = torch.arange(17.0)[None, :, None].expand(2, 17, 192)
    assert layer.maps(tokens)[0, 0].tolist() == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
        [13, 14, 15, 16],
    ]


@pytest.mark.parametrize("backbone", ["densenet_fpn:use=patient", "prior"])
def test_networks_without_maps_have_no_layer(backbone):
    assert named_layers(*built(backbone, 64)) == {}


def test_any_layer_with_maps_can_be_named():
    network, inputs = built("timm/test_resnet", 64)
    assert layer_of(network, inputs, "layer2").grid == (8, 8)
    fused, its_inputs = built("timm/test_resnet", 80, "transition", "learnable:side=64")
    assert layer_of(fused, its_inputs, "layer2").name == "network.features.layer2"
    with pytest.raises(UsageError, match=r"no layer 'conv1' .*did you mean"):
        layer_of(fused, its_inputs, "conv1")
    with pytest.raises(UsageError, match=r"no layer 'layer5' .*did you mean layer"):
        layer_of(network, inputs, "layer5")
    with pytest.raises(UsageError, match="no layer 'fc'"):
        layer_of(network, inputs, "fc")


def test_a_module_that_is_called_twice_is_no_layer():
    network, inputs = built("torchvision/resnet18", 64)
    with pytest.raises(UsageError, match="maps once"):
        layer_of(network, inputs, "layer4.0.relu")
