import numpy as np
import pytest

from cxrbench.findings import NO_FINDING
from cxrbench.samplers.limit import Limit

CLASSES = ("A", "B", "C")


def labels(*rows):
    """Rows such as ``("AB", 3)``: three images that show A and B."""
    return np.array(
        [[float(name in shown) for name in CLASSES] for shown, count in rows for _ in range(count)]
    )


def kept(sampler, matrix, classes=CLASSES):
    plan = sampler.balance(matrix, classes, np.random.default_rng(0).random(len(matrix)))
    assert not plan.mirrored.any()
    assert len(set(plan.rows)) == len(plan.rows)
    return matrix[plan.rows]


def test_a_share_of_the_images_without_a_finding_is_kept():
    seen = kept(Limit(no_finding=0.2), labels(("", 50), ("A", 30), ("AB", 4)))
    assert (seen.sum(axis=1) == 0).sum() == 10
    assert len(seen) == 44


@pytest.mark.parametrize(("limit", "expected"), [(20, (20, 11, 5)), (8, (10, 10, 5)), (0, (40, 11, 5))])
def test_a_class_keeps_at_most_so_many_but_no_image_with_a_second_finding_is_lost(limit, expected):
    matrix = labels(("A", 30), ("AB", 10), ("B", 1), ("C", 5))
    assert tuple(kept(Limit(max_per_class=limit), matrix).sum(axis=0)) == expected


def test_images_without_a_finding_count_as_a_class():
    assert len(kept(Limit(max_per_class=7, no_finding=0.5), labels(("", 40), ("A", 3)))) == 10
    # Where "No Finding" is a class of its own, too.
    single = np.eye(3)[np.repeat([0, 1, 2], [40, 9, 2])]
    assert kept(Limit(max_per_class=7), single, (NO_FINDING, "B", "C")).sum(axis=0).tolist() == [7, 7, 2]


def test_the_lowest_draws_stay():
    draws = np.array([0.5, 0.1, 0.9, 0.3])
    plan = Limit(max_per_class=2).balance(np.zeros((4, 3)), CLASSES, draws)
    assert plan.rows.tolist() == [1, 3]


def test_val_tune_and_test_have_fewer_only_where_the_limit_is_of_the_whole():
    matrix = labels(("", 12), ("A", 30), ("AB", 10), ("B", 1), ("C", 5))
    draws = np.random.default_rng(0).random(len(matrix))
    chosen = matrix[Limit(total_per_class=8).subset(matrix, CLASSES, draws)]
    assert tuple(chosen.sum(axis=0)) == (10, 10, 5)
    assert (chosen.sum(axis=1) == 0).sum() == 8
    assert len(kept(Limit(total_per_class=8), matrix)) == len(matrix)
    assert Limit(no_finding=0, max_per_class=1).subset(labels(("", 5), ("A", 5)), CLASSES, np.zeros(10)).all()
