import pytest
import torch
from test_loop import BACKBONE, rows

from cxrbench.training.inference import logits_of


class Small(torch.nn.Module):
    """A linear network on a device that holds so many images."""

    def __init__(self, holds):
        super().__init__()
        self.holds, self.sizes = holds, []
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, patient):
        if len(patient) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(patient))
        return self.linear(patient)


def logits(network, counts=None):
    return logits_of(
        network,
        BACKBONE,
        rows(50, 1),
        image_size=32,
        crop=0.9,
        batch_size=8,
        channels_last=False,
        device=torch.device("cpu"),
        advance=None if counts is None else lambda count, note: counts.append(count),
    )


@pytest.mark.parametrize(("holds", "largest"), [(50, 16), (15, 8), (3, 2), (1, 1)])
def test_where_a_batch_does_not_fit_half_of_it_is_tried(holds, largest):
    network, counts = Small(holds), []
    found = logits(network, counts)
    with torch.no_grad():
        expected = network.linear(torch.from_numpy(rows(50, 1).patient))
    assert torch.allclose(found, expected)
    assert max(network.sizes) == largest
    assert sum(counts) == sum(network.sizes) == 50


def test_where_not_even_one_image_fits_that_is_raised():
    with pytest.raises(torch.OutOfMemoryError):
        logits(Small(0))
