import numpy as np
import pytest
from conftest import invoke, run

from cxrbench.evaluation.stored import Evaluation
from cxrbench.statistics.comparison import paired_difference


@pytest.fixture(scope="module")
def results(begun, tmp_path_factory):
    folder = begun(tmp_path_factory.mktemp("stored") / "results")
    assert run(folder, "--seed", "0", "--seed", "1").exit_code == 0
    return folder


def test_figures_read_back_are_the_runs_and_can_be_paired(results):
    records = invoke("show", "--results", results, "--json").json
    evaluations = [Evaluation.of(results, record) for record in records]
    estimates = [each.estimate("macro_auc") for each in evaluations]
    for estimate, record in zip(estimates, records, strict=True):
        assert estimate.value == record["metrics"]["macro_auc"]
        interval, told = estimate.interval(), record["intervals"]["metrics"]["macro_auc"]
        assert (interval.low, interval.high) == pytest.approx((told["low"], told["high"]), abs=1e-6)
        assert len(estimate.replicates) == record["intervals"]["replicates"] == 1000
    difference = paired_difference(*estimates)
    assert difference.value == pytest.approx(estimates[0].value - estimates[1].value)
    assert difference.interval.low <= difference.value <= difference.interval.high
    first = evaluations[0]
    for name in first.replicates:
        estimate = first.estimate(name)
        assert np.isnan(estimate.value) or np.isfinite(estimate.replicates).any(), name
    assert [finding["finding"] for finding in first.curves["findings"]] == [
        row["finding"] for row in records[0]["per_finding"]
    ]


def test_a_run_shows_intervals_groups_and_how_tune_flatters(results):
    (run_id, *_) = [record["run_id"] for record in invoke("show", "--results", results, "--json").json]
    shown = invoke("show", run_id, "--results", results).stdout
    for part in (
        "95% intervals over resampled patients",
        "subgroups (macro)",
        "sex F",
        "where they were fitted",
    ):
        assert part in shown
    folder = results / "runs" / run_id
    for name in ("pr", "reliability", "thresholds", "decision", "subgroups"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_each_threshold_has_an_interval_and_its_share_of_feasible_resamples(results):
    import json

    path = next((results / "artifacts" / "threshold").glob("*/thresholds.json"))
    for point in json.loads(path.read_text()).values():
        if point["threshold"] is not None and point["low"] is not None:
            assert point["low"] <= point["high"]
        assert 0 <= point["feasible_share"] <= 1
