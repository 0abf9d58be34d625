"""95% intervals hold the truth in 93 to 97% of 1,000 simulated studies."""

from __future__ import annotations

import pytest
from simulation import Design, by_bootstrap, by_delong, by_systems, coverage

pytestmark = pytest.mark.slow

STUDIES = 1000
FEW, MANY = 250, 1000
"""Resamples of a study: few make its interval a little rougher, which of few positives is too rough."""


@pytest.mark.parametrize("auc", [0.65, 0.9])
@pytest.mark.parametrize(
    ("patients", "images", "positives", "replicates"),
    [(400, 1.0, 50, FEW), (400, 1.0, 32, MANY), (300, 3.0, 60, MANY), (300, 3.0, 150, FEW)],
    ids=["one image", "one image, few positives", "many images, few positives", "many images"],
)
def test_intervals_of_an_auc_and_of_a_difference_cover(auc, patients, images, positives, replicates):
    design = Design(auc, patients, images, positives, replicates=replicates)
    covered = coverage(design, [by_bootstrap, by_delong], STUDIES)
    assert all(0.93 <= share <= 0.97 for shares in covered for share in shares), covered


@pytest.mark.parametrize("seed_deviation", [0.05, 0.15])
def test_intervals_of_systems_cover(seed_deviation):
    design = Design(0.8, 250, 2.0, 80, seeds=5, seed_deviation=seed_deviation, replicates=200)
    ((of_mean, of_difference),) = coverage(design, [by_systems], STUDIES)
    assert 0.93 <= of_mean <= 0.97
    # The variance of few seeds is held at what test sampling makes of it, which errs on the safe side.
    assert 0.93 <= of_difference <= 0.995
