import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageFilter

from cxrbench.preprocessing.otsu_mask import OtsuMask, otsu_threshold


def within_class_variance(greys, threshold):
    """What Otsu's threshold makes least, from its definition."""
    classes = [greys[greys <= threshold], greys[greys > threshold]]
    return sum(len(part) * part.var() for part in classes if len(part)) / len(greys)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=st.integers(0, 255)))
def test_no_threshold_parts_greys_into_more_uniform_classes(image):
    greys = image.ravel().astype(np.float64)
    found = otsu_threshold(image)
    least = min(within_class_variance(greys, threshold) for threshold in range(256))
    assert within_class_variance(greys, found) <= least + 1e-6
    assert found in image or found == 255


def lungs():
    """Two dark discs on a bright ground, with noise."""
    y, x = np.mgrid[:120, :160]
    dark = ((x - 45) ** 2 + (y - 60) ** 2 < 30**2) | ((x - 115) ** 2 + (y - 60) ** 2 < 30**2)
    noise = np.random.default_rng(0).normal(0, 12, dark.shape)
    return np.clip(np.where(dark, 60, 190) + noise, 1, 255).astype(np.uint8), dark


def test_the_dark_part_stays_as_it_is_and_the_rest_is_black():
    image, dark = lungs()
    masked = OtsuMask(sigma=2.0).apply(image)
    kept = masked > 0
    assert (masked[kept] == image[kept]).all()
    assert (kept == dark).mean() > 0.99


def test_the_blur_decides_which_pixels_stay():
    image, _ = lungs()
    image[60, 45] = 255
    assert OtsuMask(sigma=3.0).apply(image)[60, 45] == 255
    assert OtsuMask(sigma=0.0).apply(image)[60, 45] == 0


def test_a_blur_by_pillow_keeps_the_same():
    image, _ = lungs()
    smooth = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(2)))
    expected = np.where(smooth <= otsu_threshold(smooth), image, 0)
    assert (OtsuMask(sigma=2.0).apply(image) == expected).mean() > 0.995


@given(st.integers(0, 255))
def test_one_grey_stays(grey):
    image = np.full((3, 4), grey, np.uint8)
    assert (OtsuMask().apply(image) == image).all()
