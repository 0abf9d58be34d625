import numpy as np
import pytest

from cxrbench.decisions.no_finding_exclusive import NoFindingExclusive
from cxrbench.errors import UsageError
from cxrbench.findings import NO_FINDING

CLASSES = ("Mass", NO_FINDING, "Nodule")
NAN = np.nan


@pytest.mark.parametrize(
    ("probabilities", "decisions", "expected"),
    [
        ((0.6, 0.8, 0.7), (1, 1, 1), (0, 1, 0)),
        ((0.6, 0.8, 0.7), (1, 0, NAN), (0, 0, NAN)),  # its own decision, and what is undecided, stay
        ((0.9, 0.8, 0.7), (1, 1, 1), (1, 1, 1)),
        ((0.8, 0.8, 0.1), (1, 1, 0), (1, 1, 0)),  # a tie is not highest of all
    ],
)
def test_no_finding_that_scores_highest_leaves_no_finding(probabilities, decisions, expected):
    found = NoFindingExclusive().decide(np.array([decisions], float), np.array([probabilities]), CLASSES)
    np.testing.assert_array_equal(found, [expected])


def test_it_is_refused_where_there_is_no_such_class():
    nothing = np.empty((0, 2))
    with pytest.raises(UsageError, match="with_no_finding"):
        NoFindingExclusive().decide(nothing, nothing, ("Mass", "Nodule"))
