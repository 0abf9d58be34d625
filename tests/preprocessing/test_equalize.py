import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cxrbench.preprocessing.equalize import Equalize


def test_greys_become_about_equally_frequent():
    rng = np.random.default_rng(0)
    image = np.clip(rng.normal(90, 12, (200, 200)), 0, 255).astype(np.uint8)
    equal = Equalize().apply(image)
    shares = [(equal <= grey).mean() for grey in range(0, 256, 16)]
    assert np.allclose(shares, np.arange(0, 256, 16) / 255, atol=0.04)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_darker_stays_darker_or_becomes_alike(image):
    equal = Equalize().apply(image).ravel()
    order = np.argsort(image.ravel(), kind="stable")
    assert (np.diff(equal[order].astype(int)) >= 0).all()
    same = np.diff(image.ravel()[order].astype(int)) == 0
    assert (np.diff(equal[order].astype(int))[same] == 0).all()


@given(st.integers(0, 255))
def test_one_grey_stays(grey):
    image = np.full((4, 5), grey, np.uint8)
    assert (Equalize().apply(image) == image).all()
