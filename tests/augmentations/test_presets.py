"""What each augmentation's options and draws mean; the operations themselves have tests of their own."""

import math

import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as tv

from cxrbench.augmentations.affine import Affine
from cxrbench.augmentations.four_class import FourClassAugmentation
from cxrbench.augmentations.fpn_fusion import FpnFusionAugmentation
from cxrbench.augmentations.none import NoAugmentation
from cxrbench.training.views import central_view

SIZE, SIDE = 64, 72
NEUTRAL = {Affine: [0.5] * 5, FpnFusionAugmentation: [0.5] * 7, FourClassAugmentation: [0.5] * 5}


def image(side=SIDE):
    noise = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    return (tv.gaussian_blur(noise, [9, 9], [2.0, 2.0]).sub(0.3).div(0.4).clamp(0, 1) * 255).to(torch.uint8)


def spot():
    """White in the middle of black."""
    pixels = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    pixels[..., SIDE // 2 - 1 : SIDE // 2 + 1, SIDE // 2 - 1 : SIDE // 2 + 1] = 255
    return pixels


def moved(view):
    """How far right of and below the middle the white spot is seen, in pixels."""
    at = torch.arange(SIZE) - (SIZE - 1) / 2
    weights = view[0, 0] / view.sum()
    return float((weights.sum(0) * at).sum()), float((weights.sum(1) * at).sum())


def view(augmentation, draws, pixels=None, crop=0.9, size=SIZE):
    return augmentation.view(image() if pixels is None else pixels, size, crop, torch.tensor([draws]))


@pytest.mark.parametrize("kind", NEUTRAL)
@pytest.mark.parametrize(("size", "side", "crop"), [(64, 72, 0.9), (64, 64, 1.0), (33, 66, 0.5)])
def test_neutral_draws_show_what_evaluation_sees(kind, size, side, crop):
    seen = view(kind(), NEUTRAL[kind], image(side), crop, size)
    # Where the margin is odd, a whole pixel less is left out on one side.
    tolerance = 1e-5 if (side - size) % 2 == 0 else 0.1
    assert torch.allclose(seen, central_view(image(side), size, crop), atol=tolerance)


def test_no_augmentation_is_what_evaluation_sees():
    assert torch.equal(view(NoAugmentation(), []), central_view(image(), SIZE, 0.9))


def test_affine_is_the_view_of_the_published_figures():
    """A shift of up to half of what the crop leaves out and 6% of the crop, turned by up to 7°."""
    pixels = image().expand(5, 1, SIDE, SIDE)
    draws = torch.rand(5, 5, generator=torch.Generator().manual_seed(3))
    share = SIZE / SIDE
    angle = (draws[:, 0] * 2 - 1) * math.radians(7)
    shift = (draws[:, 1:3] * 2 - 1) * ((1 - share) + 2 * 0.06 * share)
    cosine, sine = angle.cos() * share, angle.sin() * share
    rows = [torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [5, 1, SIZE, SIZE], align_corners=False)
    expected = F.grid_sample(pixels / 255, grid, padding_mode="border", align_corners=False)
    assert torch.allclose(Affine().view(pixels, SIZE, 0.9, draws), expected, atol=1e-5)


def test_affine_moves_by_half_of_what_the_crop_leaves_out_and_its_translation():
    right, below = moved(view(Affine(), [0.5, 0.0, 1.0, 0.5, 0.5], spot()))
    reach = (SIDE - SIZE) / 2 + 0.06 * SIZE
    assert (right, below) == (pytest.approx(reach, abs=0.01), pytest.approx(-reach, abs=0.01))


def test_affine_scales_and_mirrors_if_asked_to():
    still = [0.5, 0.5, 0.5, 1.0, 0.0]
    assert torch.equal(view(Affine(), still), view(Affine(), NEUTRAL[Affine]))
    mirrored = view(Affine(mirror=0.5), still)
    assert torch.allclose(mirrored, central_view(image(), SIZE, 0.9).flip(-1), atol=1e-5)
    square = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.uint8)
    square[..., 26:46, 26:46] = 255
    larger = view(Affine(scale=0.25), still, square)
    assert float(larger.sum()) == pytest.approx((20 * 1.25) ** 2, rel=0.01)


def test_a_whole_image_has_no_place_to_move_to():
    still = Affine(translation=0)
    assert torch.allclose(
        view(still, [0.5, 0.0, 1.0, 0.5, 0.5], crop=1.0),
        view(still, [0.5, 0.5, 0.5, 0.5, 0.5], crop=1.0),
        atol=1e-5,
    )


def test_fpn_fusion_places_the_crop_and_translates_it_apart_from_each_other():
    sharp = FpnFusionAugmentation(blur=0)
    place = moved(view(sharp, [0.5, 0.0, 0.5, 0.5, 0.5, 0.0, 0.5], spot()))
    translation = moved(view(sharp, [0.5, 0.5, 0.5, 0.5, 0.0, 0.0, 0.5], spot()))
    assert place == (pytest.approx((SIDE - SIZE) / 2, abs=0.01), pytest.approx(0, abs=0.01))
    assert translation == (pytest.approx(0, abs=0.01), pytest.approx(0.06 * SIZE, abs=0.01))


@pytest.mark.parametrize(("drawn", "sigma"), [(0.0, 0.2), (0.5, 0.85), (1.0, 1.5)])
def test_fpn_fusion_blurs_two_of_five_views_at_the_drawn_sigma(drawn, sigma):
    still = [0.5] * 5
    sharp = view(FpnFusionAugmentation(), [*still, 0.4, drawn])
    assert torch.equal(sharp, view(FpnFusionAugmentation(blur=0), [*still, 0.0, drawn]))
    soft = view(FpnFusionAugmentation(), [*still, 0.39, drawn])
    assert torch.allclose(soft, tv.gaussian_blur(sharp, [3, 3], [sigma, sigma]), atol=1e-5)


def test_four_class_turns_by_up_to_a_fifth_of_a_turn():
    ramp = torch.arange(SIDE, dtype=torch.uint8).repeat(1, 1, SIDE, 1)
    still = FourClassAugmentation(contrast=0)
    seen = view(still, [1.0, 0.5, 0.5, 0.5, 0.5], ramp)[0, 0] * 255
    middle = slice(SIZE // 2 - 4, SIZE // 2 + 4)
    slope_right = float((seen[middle, SIZE // 2 + 4] - seen[middle, SIZE // 2 - 4]).mean() / 8)
    slope_down = float((seen[SIZE // 2 + 4, middle] - seen[SIZE // 2 - 4, middle]).mean() / 8)
    assert math.degrees(math.atan2(-slope_down, slope_right)) == pytest.approx(72, abs=0.1)


def test_four_class_mirrors_half_of_the_views_and_changes_their_contrast():
    plain = central_view(image(), SIZE, 0.9)
    seen = view(FourClassAugmentation(), [0.5, 0.5, 0.5, 0.49, 1.0])
    assert torch.allclose(seen, tv.adjust_contrast(plain[0], 1.2).flip(-1)[None], atol=1e-5)
    weaker = view(FourClassAugmentation(), [0.5, 0.5, 0.5, 0.5, 0.0])
    assert torch.allclose(weaker, tv.adjust_contrast(plain[0], 0.8)[None], atol=1e-5)
