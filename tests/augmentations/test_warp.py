import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from cxrbench.augmentations.warp import spread, warped

SIZE, SIDE = 64, 72


def smooth_images(count, side=SIDE):
    """Noise blurred to the grain of a radiograph, uint8 ``[count, 1, side, side]``."""
    noise = torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0))
    blurred = tv.gaussian_blur(noise, [9, 9], [2.0, 2.0])
    low, high = blurred.amin((2, 3), keepdim=True), blurred.amax((2, 3), keepdim=True)
    return ((blurred - low) / (high - low) * 255).to(torch.uint8)


def by_torchvision(image, degrees, shift, scale):
    """The stored image turned, moved and magnified about its centre, then the central crop."""
    theta = math.radians(degrees)
    # torchvision maps input to output, the warp output to input: the inverse of one is the other.
    back = np.array([[np.cos(theta), np.sin(theta)], [-np.sin(theta), np.cos(theta)]])
    translate = (-scale * back @ (np.array(shift) * SIDE / 2)).tolist()
    moved = tv.affine(
        image,
        angle=-degrees,
        translate=translate,
        scale=scale,
        shear=[0.0, 0.0],
        interpolation=tv.InterpolationMode.BILINEAR,
    )
    return tv.center_crop(moved, [SIZE, SIZE])


CASES = [
    (0.0, (0.0, 0.0), 1.0, False),
    (7.0, (0.0, 0.0), 1.0, False),
    (-7.0, (0.1, -0.07), 1.0, False),
    (3.0, (-0.15, 0.12), 1.1, True),
    (-72.0, (0.05, 0.0), 0.9, True),
    (72.0, (0.0, 0.03), 1.0, False),
    (180.0, (0.0, 0.0), 1.0, False),
]


@pytest.mark.parametrize("beyond", ["border", "reflection"])
def test_a_warp_is_one_torchvision_affine_for_each_image(beyond):
    pixels = smooth_images(len(CASES))
    view = warped(
        pixels,
        SIZE,
        SIZE / SIDE,
        angle=torch.tensor([math.radians(degrees) for degrees, *_ in CASES]),
        shift=torch.tensor([shift for _, shift, *_ in CASES]),
        scale=torch.tensor([scale for *_, scale, _ in CASES]),
        mirrored=torch.tensor([mirrored for *_, mirrored in CASES]),
        beyond=beyond,
    )
    for seen, image, (degrees, shift, scale, mirrored) in zip(view, pixels, CASES, strict=True):
        expected = by_torchvision(image.float() / 255, degrees, shift, scale)
        inside = by_torchvision(torch.ones(1, SIDE, SIDE), degrees, shift, scale) > 0.999
        if mirrored:
            expected, inside = expected.flip(-1), inside.flip(-1)
        assert inside.float().mean() > 0.7
        difference = (seen - expected).abs()[inside]
        assert difference.mean() <= 1 / 255
        assert difference.max() <= 2 / 255


def test_where_pixels_lie_is_what_affine_grid_says():
    angle, shift = torch.tensor([0.3, -2.0]), torch.tensor([[0.1, -0.2], [0.0, 0.05]])
    share = 0.8
    cosine, sine = angle.cos() * share, angle.sin() * share
    rows = [torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [2, 1, 33, 33], align_corners=False)
    pixels = smooth_images(2, side=45)
    expected = F.grid_sample(pixels / 255, grid, padding_mode="border", align_corners=False)
    view = warped(pixels, 33, share, angle=angle, shift=shift)
    assert torch.allclose(view, expected, atol=1e-5)


def test_mirroring_mirrors_what_is_seen_otherwise():
    pixels = smooth_images(2)
    motion = {"angle": torch.tensor([0.1, 0.1]), "shift": torch.tensor([[0.05, 0.1]] * 2)}
    plain = warped(pixels, SIZE, 0.9, **motion)
    one = warped(pixels, SIZE, 0.9, **motion, mirrored=torch.tensor([True, False]))
    assert torch.allclose(one[0], plain[0].flip(-1), atol=1e-5)
    assert torch.equal(one[1], plain[1])


def test_mirroring_a_whole_image_moves_no_grey():
    pixels = smooth_images(1)
    still = {"angle": torch.zeros(1), "shift": torch.zeros(1, 2)}
    view = warped(pixels, SIDE, 1.0, **still, mirrored=torch.tensor([True]))
    assert torch.equal((view * 255).round().to(torch.uint8), pixels.flip(-1))


@pytest.mark.parametrize(("beyond", "column"), [("border", 0), ("reflection", 11)])
def test_beyond_the_edge_is_the_border_or_the_image_again(beyond, column):
    ramp = torch.arange(SIDE, dtype=torch.uint8).repeat(1, 1, SIDE, 1)
    # The window moves by 18 pixels and the margin has 4: 14 columns are outside.
    view = warped(
        ramp, SIZE, SIZE / SIDE, angle=torch.zeros(1), shift=torch.tensor([[-0.5, 0.0]]), beyond=beyond
    )
    assert (view[0, 0, :, 2] * 255).round().unique().tolist() == [column]


def test_numbers_are_spread_evenly_to_both_sides():
    assert spread(torch.tensor([0.0, 0.25, 0.5, 1.0]), 8.0).tolist() == [-8.0, -4.0, 0.0, 8.0]
