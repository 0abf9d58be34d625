"""Checks of preprocessing (:class:`cxrbench.interfaces.Preprocessing`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cxrbench.testing.check import Check, Subject, require, same, unchanged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import Preprocessing


def keeps_shape_and_type(subject: Subject) -> None:
    """The image comes back as uint8 [height, width], as high and as wide as it was, square or not."""
    for height, width in ((64, 64), (40, 57), (57, 40)):
        _require_image(subject, _image(height, width), f"{height} × {width} pixels")


def takes_any_image(subject: Subject) -> None:
    """Images of one grey, of two, and of a single pixel, row or column are preprocessed too."""
    for grey in (0, 128, 255):
        for height, width in ((1, 1), (1, 9), (9, 1), (32, 32)):
            image = np.full((height, width), grey, np.uint8)
            _require_image(subject, image, f"{height} × {width} pixels of grey {grey}")
    _require_image(subject, np.eye(32, dtype=np.uint8) * 255, "black and white")


def repeats_itself(subject: Subject) -> None:
    """The same image gives the same result, whatever was preprocessed before it."""
    preprocessing: Preprocessing = subject.make()
    image = _image(40, 57)
    first = preprocessing.apply(image).copy()
    preprocessing.apply(np.zeros((8, 8), np.uint8))
    require(same(first, preprocessing.apply(image)), "It gives another image the second time.")
    require(same(first, subject.make().apply(image)), "Made again, it gives another image.")


def leaves_its_argument_alone(subject: Subject) -> None:
    """The image is not changed in place, and may be one that cannot be."""
    image = _image(40, 57)
    with unchanged(image=image):
        subject.make().apply(image)
    image.setflags(write=False)
    subject.make().apply(image)


CHECKS: tuple[Check, ...] = tuple(
    map(Check, (keeps_shape_and_type, takes_any_image, repeats_itself, leaves_its_argument_alone))
)


def _image(height: int, width: int) -> NDArray[np.uint8]:
    """A dark and a bright half with noise."""
    rng = np.random.default_rng(0)
    bright = np.arange(width) * 2 >= width
    return (60 + 100 * bright + rng.normal(0, 15, (height, width))).clip(0, 255).astype(np.uint8)


def _require_image(subject: Subject, image: NDArray[np.uint8], case: str) -> None:
    result = subject.make().apply(image)
    require(isinstance(result, np.ndarray), f"Of {case} it makes a {type(result).__name__}.")
    require(result.dtype == np.uint8, f"Of {case} it makes {result.dtype}.")
    require(result.shape == image.shape, f"Of {case} it makes {result.shape}.")
