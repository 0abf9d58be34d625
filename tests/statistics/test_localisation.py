"""Boxes of maps and their overlap, on cases that can be computed by hand."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from cxrbench.statistics.localisation import (
    coverage,
    energy,
    hottest_boxes,
    overlaps,
    pointing,
    rank_correlations,
)

NAN = np.full(4, np.nan)


def one(*boxes):
    """Boxes of one image."""
    return np.array([boxes], np.float64)


def test_the_box_is_round_the_region_of_the_hottest_pixel_alone():
    heat = np.zeros((1, 10, 10))
    heat[0, 2:4, 3:7] = 0.6
    heat[0, 3, 5] = 1.0
    heat[0, 8, 8] = 0.9  # hotter than most of the region, but apart from it
    heat[0, 4, 7] = 0.6  # touches it by a corner alone
    (boxes,) = hottest_boxes(heat, (0.5, 0.7))
    np.testing.assert_allclose(boxes, [[0.3, 0.2, 0.7, 0.4], [0.5, 0.3, 0.6, 0.4]])


def test_the_cutoff_is_a_share_of_the_most_and_includes_it():
    heat = np.array([[[0.0, 1.0, 2.0, 4.0]] * 4])
    (boxes,) = hottest_boxes(heat, (0.25, 0.5, 0.51, 1.0))
    np.testing.assert_allclose(boxes[:, 0], [0.25, 0.5, 0.75, 0.75])
    np.testing.assert_allclose(boxes[:, [1, 2, 3]], [[0, 1, 1]] * 4)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_map_that_points_nowhere_has_no_box(value):
    assert np.isnan(hottest_boxes(np.full((1, 4, 4), value), (0.5,))).all()


def test_overlaps_by_hand():
    # Detected 4 × 2 = 8, annotated 4 × 4 = 16, shared 2 × 2 = 4 (of a side of 10).
    detected, annotated = one([0, 0, 0.4, 0.2])[:, 0], one([0.2, 0, 0.6, 0.4])
    iou, iobb = overlaps(detected, annotated)
    assert iou[0] == pytest.approx(4 / 20)
    assert iobb[0] == pytest.approx(4 / 8)


def test_a_box_within_the_annotated_one_has_all_of_iobb_and_little_of_iou():
    iou, iobb = overlaps(one([0.4, 0.4, 0.5, 0.5])[:, 0], one([0, 0, 1, 1]))
    assert (iou[0], iobb[0]) == (pytest.approx(0.01), pytest.approx(1))


def test_the_annotated_box_that_fits_best_counts():
    annotated = one([0, 0, 0.1, 0.1], [0.5, 0.5, 1, 1], NAN)
    iou, iobb = overlaps(one([0.5, 0.5, 1, 1])[:, 0], annotated)
    assert (iou[0], iobb[0]) == (1, 1)


def test_nothing_detected_and_boxes_apart_overlap_by_nothing():
    annotated = np.concatenate([one([0.5, 0.5, 1, 1])] * 3)
    detected = np.array([NAN, [0, 0, 0.5, 0.5], [0, 0.6, 0.2, 0.8]])
    iou, iobb = overlaps(detected, annotated)
    assert iou.tolist() == iobb.tolist() == [0, 0, 0]


def test_an_annotated_box_that_reaches_beyond_the_map_counts_whole():
    iou, _ = overlaps(one([0, 0, 0.5, 1])[:, 0], one([-0.5, 0, 0.5, 1]))
    assert iou[0] == pytest.approx(0.5)


boxes_within = st.tuples(*[st.integers(0, 9)] * 2, *[st.integers(1, 10)] * 2).map(
    lambda b: [b[0] / 20, b[1] / 20, (b[0] + b[2]) / 20, (b[1] + b[3]) / 20]
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(boxes_within, boxes_within)
def test_overlaps_equal_counting_cells(first, second):
    """An oracle: boxes as sets of cells of a fine grid."""
    cells = [coverage(one(box), (20, 20))[0] > 0.5 for box in (first, second)]
    shared, either = (cells[0] & cells[1]).sum(), (cells[0] | cells[1]).sum()
    iou, iobb = overlaps(one(first)[:, 0], one(second))
    assert iou[0] == pytest.approx(shared / either)
    assert iobb[0] == pytest.approx(shared / cells[0].sum())


def test_coverage_is_the_share_of_each_cell():
    (covered,) = coverage(one([0.25, 0, 0.75, 0.5]), (2, 2))
    np.testing.assert_allclose(covered, [[0.5, 0.5], [0, 0]])
    (twice,) = coverage(one([0, 0, 1, 1], [0, 0, 0.5, 0.5], NAN), (2, 2))
    np.testing.assert_allclose(twice, 1)


def test_pointing_looks_at_the_centre_of_the_hottest_pixel():
    heat = np.zeros((4, 4, 4))
    heat[0, 1, 2] = heat[1, 1, 2] = heat[2, 0, 0] = 1
    inside = [0.5, 0.25, 0.75, 0.5]
    annotated = np.array([[inside], [[0.7, 0.25, 1, 0.5]], [inside], [inside]])
    # In the box; a part of the pixel in it, but not the centre; elsewhere; a map of zeros.
    assert pointing(heat, annotated).tolist() == [1, 0, 0, 0]


def test_energy_is_the_share_of_heat_inside():
    heat = np.zeros((2, 4, 4))
    heat[0, 0, 0], heat[0, 3, 3] = 1, 3
    inside = energy(heat, np.concatenate([one([0.75, 0.75, 1, 0.875])] * 2))
    assert inside[0] == pytest.approx(3 / 4 / 2)
    assert np.isnan(inside[1])


def test_rank_correlations_are_those_of_scipy():
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 6, 6)), rng.integers(0, 4, (3, 6, 6)).astype(float)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlations(first, second), expected)
    assert rank_correlations(first, first**3) == pytest.approx([1, 1, 1])
    assert np.isnan(rank_correlations(first, np.ones_like(first))).all()
