import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from cxrbench.pixels.images import stored_side
from cxrbench.training.views import augmented_view, central_view, normalised


def smooth_image(side, seed=0):
    """Noise blurred to the grain of a radiograph, uint8 ``[1, 1, side, side]``."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 1, side, side, generator=generator)
    blurred = tv.gaussian_blur(noise, [9, 9], [2.0, 2.0])
    low, high = blurred.min(), blurred.max()
    return ((blurred - low) / (high - low) * 255).to(torch.uint8)


@pytest.mark.parametrize(
    "draws", [(0.0, 0.5, 0.5), (1.0, 0.5, 0.5), (0.5, 0.9, 0.2), (0.1, 0.8, 0.7), (0.93, 0.05, 0.97)]
)
def test_an_augmented_view_is_one_torchvision_affine(draws):
    """Rotation and shift of the stored image about its centre, then the central crop."""
    size, side = 64, 72
    pixels = smooth_image(side)
    degrees = (draws[0] * 2 - 1) * 7
    theta = np.deg2rad(degrees)
    # The crop moves by up to half of what it leaves out, the translation by up to 6% of the crop.
    reach = (side - size) / 2 + 0.06 * size
    shift = (np.array(draws[1:]) * 2 - 1) * reach
    # torchvision maps input to output, the view output to input: the inverse of one is the other.
    back = np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])
    translate = (-back @ shift).tolist()

    def reference(image):
        warped = tv.affine(
            image,
            angle=-degrees,
            translate=translate,
            scale=1.0,
            shear=[0.0, 0.0],
            interpolation=tv.InterpolationMode.BILINEAR,
        )
        return tv.center_crop(warped, [size, size])

    expected = reference(pixels.float() / 255)
    inside = reference(torch.ones(1, 1, side, side)) > 0.999
    view = augmented_view(pixels, size, torch.tensor([draws]))
    assert inside.float().mean() > 0.7
    difference = (view - expected).abs()[inside]
    assert difference.mean() <= 1 / 255
    assert difference.max() <= 2 / 255


def test_the_extremes_stay_within_seven_degrees_and_the_stated_reach():
    size, side = 64, 72
    spot = torch.zeros(1, 1, side, side, dtype=torch.uint8)
    spot[..., side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1] = 255
    view = augmented_view(spot, size, torch.tensor([[0.5, 1.0, 0.5]]))[0, 0]
    column = (view.sum(0) * torch.arange(size)).sum() / view.sum()
    assert size / 2 - 0.5 - column == pytest.approx((side - size) / 2 + 0.06 * size, abs=0.01)


def test_neutral_draws_give_the_central_view():
    pixels = smooth_image(72)
    view = augmented_view(pixels, 64, torch.full((1, 3), 0.5))
    assert torch.allclose(view, central_view(pixels, 64), atol=1e-5)


def test_neutral_draws_give_the_central_view_up_to_half_a_pixel():
    size, side = 224, stored_side(224, 0.9)
    ramp = torch.arange(side, dtype=torch.uint8).repeat(1, 1, side, 1)
    view = augmented_view(ramp, size, torch.full((1, 3), 0.5))
    difference = (view - central_view(ramp, size)) * 255
    assert torch.allclose(difference, torch.full_like(difference, 0.5), atol=1e-3)


@pytest.mark.parametrize("size", [32, 64, 224, 299, 512])
def test_the_stored_side_leaves_a_crop_of_ninety_percent(size):
    side = stored_side(size, 0.9)
    assert side >= size / 0.9 > side - 1
    assert central_view(torch.zeros(2, 1, side, side, dtype=torch.uint8), size).shape == (2, 1, size, size)


def test_beyond_the_edge_the_edge_is_repeated():
    pixels = torch.full((1, 1, 72, 72), 200, dtype=torch.uint8)
    view = augmented_view(pixels, 64, torch.tensor([[1.0, 1.0, 1.0]]))
    assert torch.allclose(view, torch.full_like(view, 200 / 255), atol=1e-5)


def test_normalising_repeats_grey_into_each_channel():
    view = torch.rand(2, 1, 4, 4)
    out = normalised(view, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    expected = tv.normalize(view.repeat(1, 3, 1, 1), [0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    assert torch.allclose(out, expected)
