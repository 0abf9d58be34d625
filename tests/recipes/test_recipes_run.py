"""Every recipe through all stages, small: ``make test-recipes``."""

import pytest
from conftest import invoke

from cxrbench.recipes import names


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One store: recipes share images."""
    return tmp_path_factory.mktemp("recipes")


@pytest.mark.recipes
@pytest.mark.parametrize("name", names())
def test_a_recipe_runs_through_all_stages(results, name):
    answer = invoke("run", "--recipe", name, "--smoke", "--device", "cpu", "--results", results, "--json")
    assert answer.exit_code == 0, answer.stderr
    for run in answer.json["runs"]:
        assert run["metrics"]["images"] == 16
        assert run["per_finding"]
