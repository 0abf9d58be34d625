"""Checks of augmentations (:class:`cxrbench.interfaces.Augmentation`)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cxrbench.testing.check import Check, Subject, require, unchanged

if TYPE_CHECKING:
    from cxrbench.interfaces import Augmentation

_SIZES = (33, 64, 225)
_CROPS = (1.0, 0.9, 0.5)
_STORED_CROP = 0.9
_LARGEST_DRAW = 1 - 2**-24
_TOLERANCE = 1e-5
"""Of greys in 0..1: what the order of additions may change."""


def says_how_many_draws_it_takes(subject: Subject) -> None:
    """The attribute 'draws' is a whole number, 0 where nothing is random."""
    draws = subject.make().draws
    require(isinstance(draws, int) and draws >= 0, f"It is {draws!r}.")


def gives_a_view(subject: Subject) -> None:
    """The view is float32 [B, 1, size, size], finite and in 0..1, of any size and crop, one or several."""
    augmentation: Augmentation = subject.make()
    for images in (1, 3):
        for pixels, size, crop in _stored(images):
            view = augmentation.view(pixels, size, crop, _draws(augmentation, images))
            _require_view(view, images, size, f"{images} images, size {size} and crop {crop}")


def takes_any_image_and_draw(subject: Subject) -> None:
    """Black and white images, and the smallest and largest draws, give a view too."""
    augmentation: Augmentation = subject.make()
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 1, 72, 72)
    for draw in (0.0, 0.5, _LARGEST_DRAW):
        for seen in (pixels, _pixels(2, 72)):
            view = augmentation.view(seen, 64, 0.9, torch.full((2, augmentation.draws), draw))
            _require_view(view, 2, 64, f"draws of {draw:g}")


def repeats_itself(subject: Subject) -> None:
    """The same images and draws give exactly the same view: there is no other randomness."""
    augmentation: Augmentation = subject.make()
    pixels, draws = _pixels(3, 72), _draws(augmentation, 3)
    first = augmentation.view(pixels, 64, 0.9, draws)
    again = subject.make().view(pixels, 64, 0.9, draws)
    require(torch.equal(first, again), "It gives another view the second time.")


def follows_its_draws(subject: Subject) -> None:
    """Other draws give another view, unless it takes none."""
    augmentation: Augmentation = subject.make()
    if augmentation.draws == 0:
        return
    pixels = _pixels(1, 72).expand(8, 1, 72, 72)
    views = augmentation.view(pixels, 64, 0.9, _draws(augmentation, 8))
    require((views - views[:1]).any(), "Eight draws give one view.")


def sees_each_image_by_itself(subject: Subject) -> None:
    """An image's view depends on its own pixels and draws alone, whatever else is in the batch."""
    augmentation: Augmentation = subject.make()
    pixels, draws = _pixels(4, 72), _draws(augmentation, 4)
    together = augmentation.view(pixels, 64, 0.9, draws)
    for row in range(4):
        alone = augmentation.view(pixels[row : row + 1], 64, 0.9, draws[row : row + 1])
        difference = float((alone[0] - together[row]).abs().max())
        require(difference <= _TOLERANCE, f"Alone, an image differs by {difference:g} of the grey scale.")


def leaves_its_arguments_alone(subject: Subject) -> None:
    """Neither pixels nor draws are changed in place, also through the view that is given."""
    augmentation: Augmentation = subject.make()
    for size, crop in ((64, 0.9), (72, 1.0)):
        pixels, draws = _pixels(2, 72), _draws(augmentation, 2)
        with unchanged(pixels=pixels, draws=draws):
            augmentation.view(pixels, size, crop, draws).zero_()


CHECKS: tuple[Check, ...] = tuple(
    map(
        Check,
        (
            says_how_many_draws_it_takes,
            gives_a_view,
            takes_any_image_and_draw,
            repeats_itself,
            follows_its_draws,
            sees_each_image_by_itself,
            leaves_its_arguments_alone,
        ),
    )
)


def _pixels(images: int, side: int) -> Tensor:
    """Made-up images with a gradient, edges and noise, uint8 ``[images, 1, side, side]``."""
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(0, 120, side)
    places = torch.rand(images, 1, 2, 1, 1, generator=generator) * side
    x, y = (torch.arange(side) - places[:, :, 0]), (torch.arange(side)[:, None] - places[:, :, 1])
    disc = ((x**2 + y**2) < (side / 4) ** 2) * 90
    noise = torch.rand(images, 1, side, side, generator=generator) * 45
    return (ramp + disc + noise).to(torch.uint8)


def _draws(augmentation: Augmentation, images: int) -> Tensor:
    return torch.rand(images, augmentation.draws, generator=torch.Generator().manual_seed(1))


def _stored(images: int) -> Iterator[tuple[Tensor, int, float]]:
    """Images as they are stored for a size and a crop."""
    for size in _SIZES:
        for crop in _CROPS:
            yield _pixels(images, math.ceil(size / min(crop, _STORED_CROP))), size, crop


def _require_view(view: Tensor, images: int, size: int, case: str) -> None:
    shape = (images, 1, size, size)
    require(tuple(view.shape) == shape, f"With {case} its shape is {tuple(view.shape)}, not {shape}.")
    require(view.dtype is torch.float32, f"With {case} it is {view.dtype}.")
    require(view.isfinite().all(), f"With {case} it is not finite.")
    low, high = float(view.min()), float(view.max())
    require(low >= -_TOLERANCE and high <= 1 + _TOLERANCE, f"With {case} it spans {low:g} to {high:g}.")
