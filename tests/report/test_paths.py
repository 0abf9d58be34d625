import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.report.page.paths import SIDE, Scale, line, scale_of, tick, up_to

SHARES = st.floats(0, 1)


def points(path):
    """The points of path data, as SVG reads them."""
    found, x, y = [], 0, 0
    for command, numbers in re.findall(r"([Ml])([^Ml]*)", path):
        values = [int(each) for each in re.findall(r"-?\d+", numbers)]
        for dx, dy in zip(values[::2], values[1::2], strict=True):
            x, y = (dx, dy) if command == "M" else (x + dx, y + dy)
            found.append((x, y))
    return found


@given(st.lists(st.tuples(SHARES, SHARES), min_size=1, max_size=64))
def test_a_path_goes_through_its_points(pairs):
    x, y = zip(*pairs, strict=True)
    expected = [(round(SIDE * a), round(SIDE * b)) for a, b in pairs]
    without_repeats = [each for k, each in enumerate(expected) if k == 0 or each != expected[k - 1]]
    assert points(line(x, y)) == without_repeats
    # As SVG's grammar has it: a command with no number behind it is an error.
    pair = r"-?\d+[ -]?\d+"
    assert re.fullmatch(rf"M{pair}(l{pair}( ?{pair})*)?", line(x, y))


def test_a_path_is_broken_where_a_value_is_undefined():
    assert line([0, 0.5, 0.6, 1], [0, None, 0.5, math.nan]).count("M") == 2
    assert line([0.5], [math.nan]) == ""


@given(st.lists(st.floats(-5, 5), min_size=1))
def test_a_scale_holds_its_values(values):
    scale = scale_of(values)
    slack = 1e-6 * max(1, abs(scale.low), abs(scale.high))
    assert scale.low - slack <= min(values)
    assert max(values) <= scale.high + slack
    assert scale.low < scale.high


def test_scales_without_values_are_of_shares():
    assert scale_of([math.nan, None]) == Scale(0.0, 1.0)
    assert up_to([]) == Scale(0.0, 1.0)
    assert up_to([0.03, None]) == Scale(0.0, 0.05)


@pytest.mark.parametrize(
    ("value", "text"), [(0.85, ".85"), (1.0, "1"), (-0.02, "−.02"), (0.0, "0"), (-0.0, "0"), (0.5, ".5")]
)
def test_ticks_are_short(value, text):
    assert tick(value) == text
