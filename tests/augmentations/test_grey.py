import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from cxrbench.augmentations.grey import blurred, contrasted


def views(count, size=33):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(0))


sigmas = st.lists(st.floats(0.05, 10), min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(sigmas, st.sampled_from([3, 5, 9]))
def test_each_image_is_blurred_as_torchvision_does_it_alone(sigmas, kernel):
    seen = views(len(sigmas))
    everything = torch.ones(len(sigmas), dtype=torch.bool)
    result = blurred(seen, torch.tensor(sigmas), everything, kernel)
    expected = torch.stack(
        [
            tv.gaussian_blur(image, [kernel, kernel], [sigma, sigma])
            for image, sigma in zip(seen, sigmas, strict=True)
        ]
    )
    assert torch.allclose(result, expected, atol=1e-5)


def test_images_that_are_not_blurred_stay_as_they_are():
    seen = views(3)
    result = blurred(seen, torch.ones(3), torch.tensor([False, True, False]), 3)
    assert torch.equal(result[[0, 2]], seen[[0, 2]])
    assert not torch.allclose(result[1], seen[1], atol=0.01)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 3), min_size=1, max_size=4))
def test_each_image_gets_its_contrast_as_torchvision_does_it_alone(factors):
    seen = views(len(factors))
    expected = torch.stack(
        [tv.adjust_contrast(image, factor) for image, factor in zip(seen, factors, strict=True)]
    )
    assert torch.allclose(contrasted(seen, torch.tensor(factors)), expected, atol=1e-5)


def test_a_factor_of_one_changes_nothing():
    seen = views(1)
    assert torch.equal(contrasted(seen, torch.ones(1)), seen)
