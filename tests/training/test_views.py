import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from cxrbench.pixels.images import stored_side
from cxrbench.training.views import central_view, normalised, seen_share


def images(side):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 1, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("size", [32, 33, 64, 224, 225, 299, 512])
@pytest.mark.parametrize("crop", [0.9, 0.875, 0.5, 0.31])
def test_the_stored_side_leaves_a_crop_that_is_seen_pixel_by_pixel(size, crop):
    side = stored_side(size, crop)
    assert side >= size / crop > side - 1
    assert seen_share(side, size, crop) == size / side
    pixels = images(side)
    expected = tv.center_crop(pixels.float() / 255, [size, size])
    margin = (side - size) // 2
    assert torch.equal(
        central_view(pixels, size, crop), pixels[..., margin:, margin:][..., :size, :size] / 255
    )
    assert (side - size) % 2 or torch.equal(central_view(pixels, size, crop), expected)


@pytest.mark.parametrize("crop", [1.0, 0.95])
def test_crops_over_ninety_percent_share_its_stored_images_and_are_resized(crop):
    side = stored_side(224, crop)
    assert side == stored_side(224, 0.9) == 249
    window = round(side * crop)
    margin = (side - window) // 2
    pixels = images(side)
    cut = pixels[..., margin : margin + window, margin : margin + window] / 255
    expected = tv.resize(cut, [224, 224], antialias=True)
    view = central_view(pixels, 224, crop)
    assert torch.allclose(view, expected, atol=1e-5)
    assert view.min() >= 0
    assert view.max() <= 1


def test_a_whole_image_of_the_right_side_is_seen_as_it_is():
    pixels = images(64)
    assert torch.equal(central_view(pixels, 64, 1.0), pixels / 255)


def test_normalising_repeats_grey_into_each_channel():
    view = torch.rand(2, 1, 4, 4)
    out = normalised(view, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    expected = tv.normalize(view.repeat(1, 3, 1, 1), [0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    assert torch.allclose(out, expected)
