"""Class activation maps of the built-in explainers, against the library used plainly and by hand."""

import numpy as np
import pytest
import pytorch_grad_cam as library
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from cxrbench.explainers.cams import EigenCam, GradCam, GradCamPlusPlus, HiResCam, LayerCam
from cxrbench.map_layers import layer_of, named_layers
from cxrbench.options import instantiate
from cxrbench.plugins import installed

PLAIN = {
    "gradcam": library.GradCAM,
    "gradcam++": library.GradCAMPlusPlus,
    "layercam": library.LayerCAM,
    "eigencam": library.EigenCAM,
    "hirescam": library.HiResCAM,
}


def small(pooling=True):
    """Two convolutions, the second seen as maps of 8 × 8."""
    torch.manual_seed(0)
    head = [nn.AdaptiveAvgPool2d(1)] if pooling else []
    return nn.Sequential(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, stride=2, padding=1)
        ),
        nn.Sequential(*head, nn.Flatten(), nn.Linear(6 if pooling else 6 * 64, 4)),
    ).eval()


@pytest.fixture
def images():
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", PLAIN)
def test_maps_are_the_librarys(name, images):
    network = small(pooling=False)
    layer = layer_of(network, [images], "0")
    explainer = instantiate(installed().registry.find("explainer", name), {})
    found = explainer.maps(network, layer, [images], [0, 3, 2])
    with PLAIN[name](network, [network[0]]) as cam:
        plain = cam(images, [ClassifierOutputTarget(index) for index in (0, 3, 2)])
    np.testing.assert_allclose(found, plain, atol=1e-4)


def test_gradcam_by_hand(images):
    """Behind average pooling the mean gradient of a channel is its weight, over the number of places."""
    network = small()
    with torch.no_grad():
        maps = network[0](images)
        cam = torch.einsum("c,bchw->bhw", network[1][2].weight[2], maps).clamp(min=0)
    found = GradCam().maps(network, layer_of(network, [images], "0"), [images], [2, 2, 2])
    # At the middle of each cell of 4 × 4 pixels: the mean of its four inner ones.
    middles = found.reshape(3, 8, 4, 8, 4)[:, :, 1:3, :, 1:3].mean(axis=(2, 4))
    for mine, by_hand in zip(middles, cam.numpy(), strict=True):
        assert np.corrcoef(mine.ravel(), by_hand.ravel())[0, 1] > 0.98


def test_behind_average_pooling_hirescam_is_gradcam(images):
    network = small()
    layer = layer_of(network, [images], "0")
    both = [explainer().maps(network, layer, [images], [1, 1, 1]) for explainer in (GradCam, HiResCam)]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_the_class_matters_but_to_eigencam(images):
    network = small()
    layer = layer_of(network, [images], "0")
    for explainer in (GradCam, GradCamPlusPlus, HiResCam, LayerCam):
        first, second = (explainer().maps(network, layer, [images], [index] * 3) for index in (0, 1))
        assert np.abs(first - second).max() > 0.1
    first, second = (EigenCam().maps(network, layer, [images], [index] * 3) for index in (0, 1))
    np.testing.assert_array_equal(first, second)


def test_maps_point_at_what_makes_the_class(images):
    """A network that looks for red and for green: each map is hottest where that colour is."""
    convolution = nn.Conv2d(3, 2, 1, bias=False)
    convolution.weight.data = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[..., None, None]
    linear = nn.Linear(2, 2)
    linear.weight.data = torch.eye(2)
    network = nn.Sequential(
        nn.Sequential(convolution, nn.AvgPool2d(4)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear
    )
    image = torch.zeros(1, 3, 32, 32)
    image[0, 0, 4:12, 4:12], image[0, 1, 20:28, 20:28] = 1, 1
    network.eval()
    layer = layer_of(network, [image], "0")
    for explainer in (GradCam, GradCamPlusPlus, HiResCam, LayerCam):
        red, green = explainer().maps(network, layer, [image.repeat(2, 1, 1, 1)], [0, 1])
        assert red[4:12, 4:12].mean() > 0.5
        assert red[20:28, 20:28].max() < 0.01
        assert green[20:28, 20:28].mean() > 0.5
        assert green[4:12, 4:12].max() < 0.01


def test_patient_data_come_along_and_levels_have_their_grids():
    from cxrbench.backbones.densenet_fpn import DensenetFpn

    torch.manual_seed(0)
    network = DensenetFpn().build(5, 64, False).eval()
    inputs = [torch.randn(2, 3, 64, 64), torch.rand(2, 3)]
    layers = named_layers(network, inputs)
    assert {name: layer.grid for name, layer in layers.items()} == {"P3": (8, 8), "P4": (4, 4), "P5": (2, 2)}
    for layer in layers.values():
        assert GradCam().maps(network, layer, inputs, [0, 4]).shape == (2, 64, 64)
