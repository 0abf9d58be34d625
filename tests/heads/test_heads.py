import pytest
import torch
from torch import nn

from cxrbench.backbones.densenet_fpn import DensenetFpn
from cxrbench.backbones.timm_network import TimmNetwork
from cxrbench.backbones.torchvision_network import TorchvisionNetwork
from cxrbench.errors import UsageError
from cxrbench.heads.dense import DenseHead
from cxrbench.heads.transition import TransitionHead
from cxrbench.specs import TrainingSpec
from cxrbench.training.schedule import optimizer_of

RESNET = TorchvisionNetwork(name="resnet18")


def layers(network, kind):
    return [module for module in network.head.modules() if isinstance(module, kind)]


def test_a_dense_head_has_the_layers_that_it_is_asked_for():
    network = DenseHead(layers=2, neurons=64, dropout=0.25).network(RESNET, 5, 64, False)
    shapes = [(layer.in_features, layer.out_features) for layer in layers(network, nn.Linear)]
    assert shapes == [(512, 64), (64, 64), (64, 5)]
    assert [layer.p for layer in layers(network, nn.Dropout)] == [0.25, 0.25]
    assert network(torch.randn(2, 3, 64, 64)).shape == (2, 5)


@pytest.mark.parametrize(("side", "places"), [(64, 4), (96, 9), (224, 49)])
def test_a_flattened_head_is_as_large_as_the_maps_of_the_image_size(side, places):
    network = DenseHead(pooling="flatten", layers=0).network(RESNET, 3, side, False)
    (layer,) = layers(network, nn.Linear)
    assert layer.in_features == 512 * places


def test_a_pooled_head_takes_images_of_any_size():
    network = DenseHead(pooling="lse").network(RESNET, 3, 64, False).eval()
    assert network(torch.randn(1, 3, 100, 100)).shape == (1, 3)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "googlenet"])
def test_a_transition_gives_all_networks_maps_of_one_shape(name):
    head = TransitionHead(channels=32, side=7)
    network = head.network(TorchvisionNetwork(name=name), 15, 128, False).eval()
    images = torch.randn(2, 3, 128, 128)
    transition = network.head[:3]
    assert transition(network.features(images)).shape == (2, 32, 7, 7)
    assert network(images).shape == (2, 15)


def test_features_and_head_can_be_run_apart():
    network = DenseHead(dropout=0.5).network(RESNET, 3, 64, False).eval()
    images = torch.randn(2, 3, 64, 64)
    pooled = network.head[0](network.features(images))
    assert pooled.shape == (2, 512)
    assert torch.equal(network.head[1:](pooled), network(images))
    assert not list(network.head[0].parameters())


@pytest.mark.parametrize("head", [DenseHead(), TransitionHead()])
@pytest.mark.parametrize(
    ("backbone", "reason"),
    [
        (DensenetFpn(), "DensenetFpn has no maps"),
        (TimmNetwork(name="vit_tiny_patch16_224"), "features of 3 dimensions, not maps"),
        (TimmNetwork(name="swin_tiny_patch4_window7_224"), "gives its features as NHWC"),
    ],
)
def test_a_backbone_without_maps_is_refused_in_one_sentence(head, backbone, reason):
    with pytest.raises(UsageError, match=rf"{reason}.*; use --head own.*\.$"):
        head.network(backbone, 3, 224, False)


def test_images_that_leave_no_maps_are_refused_in_one_sentence():
    backbone = TorchvisionNetwork(name="alexnet")
    with pytest.raises(UsageError, match=r"cannot take images of 32 px \(.*\); .*--image-size\.$"):
        DenseHead().network(backbone, 3, 32, False)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_l2_is_the_gradient_of_the_squared_weights_of_dense_layers_alone(optimizer):
    l2 = 0.02
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    spec = TrainingSpec(optimizer=optimizer, precision="fp32")

    def stepped(head, penalty):
        torch.manual_seed(0)
        network = head.network(RESNET, 3, 32, False).eval()
        step = optimizer_of(network, spec, 0.01)
        loss = network(images).square().mean()
        if penalty:
            dense = layers(network, nn.Linear)
            loss = loss + l2 * sum(layer.weight.square().sum() for layer in dense)
        loss.backward()
        step.step()
        return network.state_dict()

    decayed, penalised = stepped(DenseHead(l2=l2), False), stepped(DenseHead(), True)
    plain = stepped(DenseHead(), False)
    for name, value in penalised.items():
        assert torch.allclose(decayed[name], value, atol=1e-6), name
    changed = {name for name, value in plain.items() if not torch.equal(decayed[name], value)}
    assert changed == {"head.1.weight", "head.4.weight"}
