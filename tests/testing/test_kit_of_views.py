"""The checks of augmentations and preprocessing: sound toys pass, each broken one fails its check."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cxrbench.registry import Component, Kind
from cxrbench.testing import checks_for
from cxrbench.training.views import central_view


class SoundAugmentation:
    """Makes images darker, each by its own draw."""

    draws = 1

    def view(self, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
        return central_view(pixels, size, crop) * (0.5 + draws[:, :, None, None] / 2)


class SoundPreprocessing:
    """Negative images."""

    def apply(self, image: np.ndarray) -> np.ndarray:
        return 255 - image


SOUND: dict[Kind, type[Any]] = {"augmentation": SoundAugmentation, "preprocessing": SoundPreprocessing}


def component(kind: Kind, cls: type[Any]) -> Component:
    globals()[cls.__name__] = cls
    return Component(kind, "toy", f"{__name__}:{cls.__name__}", "1", "A toy", "tests")


@pytest.mark.parametrize(
    ("kind", "check"), [(kind, check) for kind in SOUND for check in checks_for(kind)], ids=str
)
def test_sound_toys_pass(kind: Kind, check: Any) -> None:
    check.run(component(kind, SOUND[kind]))


def seen(pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
    return SoundAugmentation().view(pixels, size, crop, draws)


def inverted_in_place(self: Any, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
    view = seen(pixels, size, crop, draws)
    pixels.bitwise_not_()
    return view


def stretched_view(self: Any, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
    view = seen(pixels, size, crop, draws)
    return view / view.amax((2, 3), keepdim=True)


def whole(self: Any, pixels: Tensor, size: int, crop: float, draws: Tensor) -> Tensor:
    return pixels.float() / 255


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"draws": "3"}, "says_how_many_draws_it_takes"),
        ({"draws": -1}, "says_how_many_draws_it_takes"),
        ({"view": whole}, "gives_a_view"),
        ({"view": lambda self, *given: seen(*given).double()}, "gives_a_view"),
        ({"view": lambda self, *given: seen(*given) * 255}, "gives_a_view"),
        ({"view": lambda self, *given: seen(*given) * 2 - 1}, "gives_a_view"),
        ({"view": stretched_view}, "takes_any_image_and_draw"),
        ({"view": lambda self, *given: seen(*given) * torch.rand(1)}, "repeats_itself"),
        ({"view": lambda self, *given: seen(*given[:3], given[3] * 0)}, "follows_its_draws"),
        (
            {"view": lambda self, *given: (seen(*given) - seen(*given).mean(0)).clamp(0, 1)},
            "sees_each_image_by_itself",
        ),
        ({"view": lambda self, *given: seen(*given[:3], given[3][:1])}, "sees_each_image_by_itself"),
        ({"view": inverted_in_place}, "leaves_its_arguments_alone"),
    ],
)
def test_broken_augmentations(members: dict[str, Any], check: str) -> None:
    assert_fails("augmentation", members, check)


def saturated(self: Any, image: np.ndarray) -> np.ndarray:
    image[image > 100] = 255
    return image


def stretched(self: Any, image: np.ndarray) -> np.ndarray:
    span = np.ptp(image)
    return (
        (image - image.min()) * 255.0 / span if span == 0 else np.uint8((image - image.min()) * (255 / span))
    )


def counting(self: Any, image: np.ndarray) -> np.ndarray:
    counting.calls += 1  # type: ignore[attr-defined]
    return np.roll(image, counting.calls)  # type: ignore[attr-defined]


counting.calls = 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"apply": lambda self, image: image / 255}, "keeps_shape_and_type"),
        ({"apply": lambda self, image: image.T}, "keeps_shape_and_type"),
        ({"apply": lambda self, image: image[:32, :32]}, "keeps_shape_and_type"),
        ({"apply": lambda self, image: torch.from_numpy(image.copy())}, "keeps_shape_and_type"),
        ({"apply": stretched}, "takes_any_image"),
        ({"apply": counting}, "repeats_itself"),
        ({"apply": saturated}, "leaves_its_argument_alone"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_broken_preprocessing(members: dict[str, Any], check: str) -> None:
    assert_fails("preprocessing", members, check)


def assert_fails(kind: Kind, members: dict[str, Any], name: str) -> None:
    broken = type("Broken", (SOUND[kind],), {"__doc__": "Broken.", **members})
    (check,) = [check for check in checks_for(kind) if check.name == name]
    with pytest.raises(AssertionError, match=f"fails {name}"):
        check.run(component(kind, broken))
