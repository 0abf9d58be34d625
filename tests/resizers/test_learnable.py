import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cxrbench.resizers.learnable import LearnableResizer


def resizer(**options):
    return LearnableResizer(**options).network(nn.Identity(), 3, 250).resizer


@pytest.mark.parametrize(("blocks", "counted"), [(1, 12_163), (2, 12_163 + 2 * 2_304 + 2 * 64)])
def test_it_has_the_published_number_of_parameters(blocks, counted):
    state = resizer(blocks=blocks).state_dict()
    assert sum(t.numel() for n, t in state.items() if not n.endswith("num_batches_tracked")) == counted


def test_it_adds_what_it_learns_to_the_resized_image():
    network = resizer(side=40).eval()
    nn.init.zeros_(network.project.weight)
    nn.init.zeros_(network.project.bias)
    images = torch.rand(2, 3, 64, 64)
    expected = F.interpolate(images, size=(40, 40), mode="bilinear")
    assert torch.equal(network(images), expected)


def test_it_enlarges_as_well():
    assert resizer(side=40)(torch.rand(2, 3, 32, 32)).shape == (2, 3, 40, 40)
    assert LearnableResizer(side=40).size(32) == 40
