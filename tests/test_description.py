"""The published numbers of parameters, and what describe says besides."""

import pytest
import torch
from conftest import invoke
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cxrbench.architecture import architecture_of
from cxrbench.description import described, flops_of
from cxrbench.plugins import installed
from cxrbench.specs import check

VGG16 = {"backbone": "torchvision/vgg16", "head": "dense:neurons=256,dropout=0.5"}
CHEXNET = {"backbone": "torchvision/densenet121", "head": "dense:layers=2,neurons=64"}
RESNET152 = {"backbone": "torchvision/resnet152", "head": "dense:neurons=64,dropout=0.25"}


def describe(*, trainable="all", cycles=(), outputs=4, **given):
    cycles = [{"trainable": each} for each in cycles]
    spec = check({"image_size": 224, **given, "training": {"trainable": trainable, "cycles": cycles}})
    return described(spec, installed().registry, outputs)


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        ({"backbone": "scratch_cnn_a", "image_size": 227}, 4_741_188),
        ({"backbone": "scratch_cnn_b", "image_size": 227}, 2_859_588),
        ({"backbone": "fused_cnn", "resizer": "learnable", "image_size": 250}, 9_211_847),
        (CHEXNET, 7_107_524),
        ({"backbone": "torchvision/resnet50", "head": "dense:layers=0"}, 23_561_152 + 2048 * 4 + 4),
    ],
)
def test_parameters_with_statistics_are_those_published(given, counted):
    assert describe(**given).parameters_with_statistics == counted


def test_the_fused_network_has_the_published_layers():
    found = describe(backbone="fused_cnn", resizer="learnable", image_size=250)
    outputs = {layer.name.removeprefix("network.features."): layer.output for layer in found.layers}
    assert outputs["conv1.0"] == (96, 55, 55)
    assert outputs["conv1.2"] == (96, 27, 27)
    assert outputs["conv2.2"] == (256, 13, 13)
    assert outputs["shallow1"] == (96, 6, 6)
    assert outputs["network.head.0"] == (608,)
    assert found.trainable == 9_211_719
    assert found.resizer == 12_035


def test_the_fused_networks_base_has_the_fifth_maps_alone():
    found = describe(backbone="fused_cnn:base=true", resizer="learnable", image_size=250)
    assert found.parameters_with_statistics == 9_211_847 - (608 - 256) * 2048


def test_vgg16s_parts_are_those_published():
    found = describe(**VGG16, cycles=("head", "features.24", "features.10"))
    assert found.head == 132_356
    assert found.parameters == 14_714_688 + 132_356
    assert found.trainable_in_cycles == (132_356, 7_211_780, 14_586_884)


def test_densenet121s_parts_are_those_published():
    layers = (
        "features.denseblock4.denselayer16.norm1",
        "features.denseblock4.denselayer15.norm1",
        "features.denseblock3.denselayer1.norm1",
    )
    found = describe(**CHEXNET, cycles=("head", *layers))
    assert found.head == 70_020
    assert found.trainable_in_cycles == (70_020, 238_148, 400_068, 5_594_244)


def test_resnet152s_layers_can_be_trained_from_any_on():
    layers = ("layer4.2.conv3", "layer4.2.conv1", "layer3.31.conv1", "layer3.14.conv2")
    found = describe(**RESNET152, cycles=("head", *layers))
    assert found.parameters_with_statistics == 58_295_232 + 131_396
    assert found.trainable_in_cycles == (131_396, 1_184_068, 4_593_988, 20_682_052, 39_411_524)


@pytest.mark.parametrize(
    ("backbone", "neurons", "head"),
    [("torchvision/vgg16", 256, 6_423_812), ("torchvision/densenet121", 64, 3_211_588)],
)
def test_flattened_heads_are_those_published(backbone, neurons, head):
    assert describe(backbone=backbone, head=f"dense:pooling=flatten,neurons={neurons}").head == head


def test_flops_and_activations_are_those_of_a_hand_count():
    found = describe(backbone="scratch_cnn_b", image_size=32)
    sides = (32, 16, 8, 4, 2, 1)
    convolutions = ((3, 32, 11), (32, 64, 5), (64, 128, 5), (128, 256, 5), (256, 256, 3), (256, 512, 3))
    products = sum(
        side**2 * inputs * outputs * kernel**2
        for side, (inputs, outputs, kernel) in zip(sides, convolutions, strict=True)
    )
    assert found.flops == 2 * (products + 512 * 4)
    convolved = sum(side**2 * outputs for side, (_, outputs, _) in zip(sides, convolutions, strict=True))
    pooled = sum(side**2 * outputs for side, (_, outputs, _) in zip(sides[1:], convolutions[:5], strict=True))
    assert found.activations == 2 * convolved + pooled + 512 + 4


@pytest.mark.parametrize(
    "given",
    [
        {"backbone": "densenet_fpn", "image_size": 64},
        {"backbone": "densenet_fpn:use=patient"},
        {"backbone": "prior"},
        {"backbone": "timm/test_vit", "image_size": 160},
        {"backbone": "torchvision/googlenet", "head": "transition:side=3", "image_size": 64},
        {"backbone": "fused_cnn", "resizer": "learnable", "image_size": 250},
    ],
)
def test_flops_are_known_without_computing(given):
    registry = installed().registry
    spec = check(given)
    architecture = architecture_of(spec, registry)
    network = architecture.build(14, spec.image_size, False).eval().requires_grad_(False)
    side = spec.image_size
    inputs = {"image": torch.zeros(1, len(architecture.mean), side, side), "patient": torch.zeros(1, 3)}
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*(inputs[name] for name in architecture.inputs))
    assert flops_of(spec, architecture, 14) == counter.get_total_flops()


def test_flops_of_attention_are_those_of_a_hand_count():
    tokens, width, layers = (160 // 16) ** 2 + 1, 64, 6
    attention = layers * 2 * 2 * tokens**2 * width
    dense = layers * 2 * tokens * (4 + 2 * 3) * width**2
    found = describe(backbone="timm/test_vit", image_size=160).flops
    assert found == attention + dense + 2 * (tokens - 1) * 16**2 * 3 * width + 2 * width * 4


class Looking(torch.nn.Module):
    """Goes two ways, as the values of its input have it."""

    def __init__(self, outputs):
        super().__init__()
        self.dense = torch.nn.Linear(3, outputs)

    def forward(self, patient):
        return self.dense(patient if float(patient.sum()) < 1 else -patient)


class LookingBackbone:
    inputs, mean, std = ("patient",), (0.0,), (1.0,)

    def build(self, outputs, image_size, pretrained):
        return Looking(outputs)


def test_flops_of_a_network_that_looks_at_values_are_known_too():
    assert flops_of(check({}), LookingBackbone(), 5) == 2 * 3 * 5


def test_the_command_answers_in_json(tmp_path):
    line = ("describe", "--backbone", "timm/test_resnet", "--head", "dense", "--image-size", "32", "--json")
    found = invoke(*line, "--trainable", "head").json
    assert found["inputs"] == {"image": [3, 32, 32]}
    assert found["trainable"] == found["head"] < found["parameters"] < found["parameters_with_statistics"]
    assert found["layers"][-1]["output"] == [14]
    assert invoke(*line, "--outputs", "3").json["layers"][-1]["output"] == [3]

    config = tmp_path / "run.toml"
    config.write_text('backbone = "densenet_fpn"\nimage_size = 64\n[training]\ntrainable = "head"\n')
    of_file = invoke("describe", "--config", config, "--json").json
    assert of_file["inputs"] == {"image": [3, 64, 64], "patient": [3]}
    assert of_file["trainable"] == of_file["head"]


def test_the_command_draws_a_table():
    answer = invoke("describe", "--backbone", "timm/test_resnet", "--image-size", "32", "--outputs", "3")
    assert answer.exit_code == 0
    assert "conv1" in answer.stdout
    assert "GFLOPs" in answer.stdout


def test_a_recipe_is_described_once_for_each_network_among_its_runs():
    found = invoke("describe", "--recipe", "chexnet_finetuned", "--json").json["networks"]
    assert [each["trainable"] for each in found] == [238_148, 400_068, 5_594_244]
    assert {each["trainable_in_cycles"][0] for each in found} == {70_020}
    assert all(each["layers"][-1]["output"] == [4] for each in found)
    assert "denselayer16" in found[0]["network"]


def test_runs_that_differ_otherwise_are_one_network(tmp_path):
    config = tmp_path / "grid.toml"
    config.write_text('seed = [0, 1]\nbackbone = "timm/test_resnet"\nimage_size = 32\n')
    assert invoke("describe", "--config", config, "--json").json["inputs"] == {"image": [3, 32, 32]}
