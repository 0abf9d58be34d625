"""Stored runs opened again: what has no network, and where the files of their test data are."""

from pathlib import Path

import pytest

from cxrbench.errors import UsageError
from cxrbench.workflow.trained import require_network, roots_of_tests


def test_the_folder_is_that_of_each_data_set_that_runs_were_tested_on():
    films = {"name": "csv", "options": {"config": "ours.toml"}}
    records = [{"spec": {"test_dataset": films}}, {"spec": {"test_dataset": None}}, {"spec": {}}, {}]
    assert roots_of_tests(records, Path("films")) == {"csv:config=ours.toml": Path("films")}
    assert roots_of_tests(records, None) == {}


@pytest.mark.parametrize("source", ["scored", "ensemble"])
def test_runs_of_predictions_have_no_network(source):
    with pytest.raises(UsageError, match="theirs has no network of its own"):
        require_network({"run_id": "theirs", "source": source})
    require_network({"run_id": "old"})
