"""Which systems no other one beats in both quality and latency."""

from hypothesis import given
from hypothesis import strategies as st

from cxrbench.report.pareto import on_front

POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


def test_a_front_counted_by_hand():
    points = [(5.0, 0.9), (1.0, 0.7), (2.0, 0.6), (3.0, 0.8), (9.0, 0.9)]
    assert on_front(points) == [1, 3, 0]


@given(POINTS)
def test_whatever_is_left_out_is_matched_by_one_that_costs_no_more(points):
    front = on_front(points)
    assert [points[place] for place in front] == sorted(points[place] for place in front)
    for place, (cost, value) in enumerate(points):
        beaten = any(points[k][0] <= cost and points[k][1] >= value for k in front)
        assert beaten
        if place in front:
            others = [p for k, p in enumerate(points) if k != place and p != (cost, value)]
            assert not any(c <= cost and v >= value for c, v in others)
