from dataclasses import replace

import pytest
import torch
from test_loop import BACKBONE, rows, training

from cxrbench.errors import CxrbenchError
from cxrbench.training.batch_size import largest_share


class Limited(torch.nn.Module):
    """A network on a device that holds so many images."""

    def __init__(self, holds):
        super().__init__()
        self.holds, self.inner = holds, BACKBONE.build(2, 32, False)

    def forward(self, patient):
        if len(patient) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(patient)


def largest(holds, most, **settings):
    tried = replace(training(batch_size=2, **settings), network=Limited(holds), train=rows(1, 1))
    return largest_share(tried, most, torch.device("cpu"))


@pytest.mark.parametrize(("holds", "most", "found"), [(20, 1024, 16), (16, 1024, 16), (20, 15, 8), (2, 9, 2)])
def test_the_largest_power_of_two_that_fits_and_is_wanted(holds, most, found):
    assert largest(holds, most) == found
    assert largest(holds, most, ema=0.9) == found


def test_nothing_fits():
    with pytest.raises(CxrbenchError, match="Not even two images of 32 px"):
        largest(1, 64)
