"""Tables of pairs of classes equal a count image by image."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import recall_score

from cxrbench.statistics import cooccurrence as co

CELLS = st.sampled_from([0.0, 1.0, np.nan])
TABLES = st.tuples(st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda shape: st.tuples(*[arrays(float, shape, elements=CELLS, fill=st.nothing())] * 2)
)


def counted(given_, asked, eligible):
    """``both`` and ``among`` from yes/no tables, image by image."""
    both, among = np.zeros((2, given_.shape[1], given_.shape[1]), int)
    for row in range(len(given_)):
        for i, j in np.ndindex(both.shape):
            both[i, j] += given_[row, i] and asked[row, j]
            among[i, j] += given_[row, i] and eligible[row, j]
    return both, among


@given(TABLES)
@settings(deadline=None)
def test_tables_equal_the_count_image_by_image(table):
    decisions, labels = table
    called, present, absent = decisions == 1, labels == 1, labels == 0
    for found, expected in (
        (co.cooccurrence(labels), counted(present, present, present | absent)),
        (co.calls_where_present(decisions, labels), counted(present, called, ~np.isnan(decisions))),
        (
            co.false_calls_where_present(decisions, labels),
            counted(present, called & absent, absent & ~np.isnan(decisions)),
        ),
    ):
        np.testing.assert_array_equal(found.both, expected[0])
        np.testing.assert_array_equal(found.among, expected[1])
        np.testing.assert_array_equal(np.isnan(found.rate), np.array(expected[1]) == 0)


def test_one_finding_that_is_taken_for_another():
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], dtype=float)
    decisions = np.array([[1, 1], [0, 1], [1, 1], [0, 0]], dtype=float)
    assert co.cooccurrence(labels).both.tolist() == [[3, 1], [1, 1]]
    assert co.cooccurrence(labels).rate[1].tolist() == [1, 1]
    calls = co.calls_where_present(decisions, labels)
    assert calls.both.tolist() == [[2, 3], [1, 1]]
    assert calls.rate.diagonal().tolist() == recall_score(labels, decisions, average=None).tolist()
    false = co.false_calls_where_present(decisions, labels)
    assert (false.both[0, 1], false.among[0, 1]) == (2, 2)
    assert np.isnan(false.rate.diagonal()).all()
