"""Which metrics ranks can stand in for probabilities of."""

import pytest

from cxrbench.ensembling.goal import require_order_alone
from cxrbench.errors import UsageError
from cxrbench.interfaces import Metric
from cxrbench.options import make, parse_use
from cxrbench.plugins import installed


def metric(text) -> Metric:
    return make(parse_use("--fitness", text), "metric", installed().registry)


@pytest.mark.parametrize("classes", [1, 14])
def test_a_metric_of_probabilities_is_none_of_ranks(classes):
    with pytest.raises(UsageError, match="log_loss judges probabilities, and ranks are none"):
        require_order_alone(metric("log_loss"), "log_loss", classes)


@pytest.mark.parametrize("text", ["f_beta", "expected_cost:fn=3"])
def test_a_metric_of_decisions_is_one_of_ranks_too(text):
    require_order_alone(metric(text), text, 14)


def test_a_metric_of_the_order_is_one_of_ranks_too():
    class Ranked:
        tasks = frozenset({"multilabel"})
        higher_is_better = True

        def value(self, labels, probabilities, decisions):
            from sklearn.metrics import roc_auc_score

            return float(roc_auc_score(labels, probabilities))

    require_order_alone(Ranked(), "ranked", 3)
