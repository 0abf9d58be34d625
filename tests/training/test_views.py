import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from cxrbench.pixels.images import stored_side
from cxrbench.training.views import central_view, network_inputs, normalised, seen_share


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


class Grey:
    """Takes patient data and images of one channel."""

    inputs = ("patient", "image")
    mean = (0.5,)
    std = (0.25,)


@pytest.mark.parametrize("crop", [1.0, 0.9, 0.5])
def test_a_network_takes_the_centre_unless_another_view_is_given(crop):
    batch = {"pixels": images(stored_side(40, crop)), "patient": torch.rand(2, 3)}
    patient, image = network_inputs(Grey(), batch, 40, crop, channels_last=True)
    assert patient is batch["patient"]
    assert torch.equal(image, (central_view(batch["pixels"], 40, crop) - 0.5) / 0.25)
    _, black = network_inputs(
        Grey(), batch, 40, crop, False, view=lambda pixels, size, share: torch.full((2, 1, size, size), share)
    )
    assert torch.allclose(black, torch.full((2, 1, 40, 40), (crop - 0.5) / 0.25))


def test_normalising_repeats_grey_into_each_channel():
    view = torch.rand(2, 1, 4, 4)
    out = normalised(view, (0.1, 0.2, 0.3), (1.0, 2.0, 4.0))
    expected = tv.normalize(view.repeat(1, 3, 1, 1), [0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    assert torch.allclose(out, expected)
