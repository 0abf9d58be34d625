import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from cxrbench.heads.pooling import Pooling


def maps(seed=0):
    return torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(seed))


def test_average_and_maximum_are_over_the_area():
    assert torch.allclose(Pooling("average")(maps()), maps().mean(dim=(2, 3)))
    assert torch.equal(Pooling("max")(maps()), maps().amax(dim=(2, 3)))


@pytest.mark.parametrize("r", [0.3, 10.0])
def test_lse_is_the_log_of_the_mean_of_exponentials(r):
    places = maps().flatten(2).double().numpy()
    expected = (logsumexp(r * places, axis=2) - np.log(30)) / r
    assert Pooling("lse", r)(maps()).numpy() == pytest.approx(expected, abs=1e-5)


def test_lse_lies_between_average_and_maximum_and_r_says_where():
    places = maps()
    small, middle, large = (Pooling("lse", r)(places) for r in (1e-3, 5.0, 1e4))
    assert torch.allclose(small, places.mean(dim=(2, 3)), atol=1e-2)
    assert torch.allclose(large, places.amax(dim=(2, 3)), atol=1e-2)
    assert bool(((small < middle) & (middle < large)).all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lse_of_half_precision_is_finite_and_in_half_precision(dtype):
    places = torch.full((2, 3, 7, 7), 6e4, dtype=dtype)  # exp of it, and ten times it, overflow
    places[0] = -6e4
    pooled = Pooling("lse")(places)
    assert pooled.dtype == dtype
    assert torch.equal(pooled, places[:, :, 0, 0])
