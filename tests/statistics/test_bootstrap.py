"""Replicates: resamples from a text, weighted statistics equal to statistics of repeated images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cxrbench.statistics import calibration, decisions, ranking
from cxrbench.statistics.bootstrap import Replicates, bootstrap
from cxrbench.statistics.resamples import Resamples
from cxrbench.statistics.weighted import Calibration, Decisions, Ranking

NAN = np.nan
SCORES = st.sampled_from([0.0, 0.1, 0.25, 0.25000000000000006, 0.5, 0.9, 1.0])
TABLES = st.tuples(st.integers(1, 30), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(
        arrays(float, shape, elements=SCORES, fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 1.0, NAN]), fill=st.nothing()),
        arrays(float, shape, elements=st.sampled_from([0.0, 1.0, NAN]), fill=st.nothing()),
        arrays(int, shape[0], elements=st.integers(0, 6), fill=st.nothing()),
    )
)


def of_repeated(scores, labels, called, repeats):
    """All figures of a table in which each image stands as often as it is drawn."""
    scores, labels, called = (np.repeat(each, repeats, axis=0) for each in (scores, labels, called))
    counts = decisions.confusion(called, labels)
    return {
        "auc": ranking.auc(scores, labels),
        "ap": ranking.average_precision(scores, labels),
        "brier": calibration.brier(scores, labels),
        "ece": calibration.expected_calibration_error(scores, labels),
        **{name: getattr(decisions, name)(counts) for name in Decisions.names},
    }


def every_statistic(scores, labels, called, resamples):
    return [
        Ranking(scores, labels, resamples),
        Calibration(scores, labels, resamples),
        Decisions(called, labels, resamples),
    ]


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_each_replicate_is_the_figure_of_the_images_drawn(table):
    scores, labels, called, patients = table
    resamples = Resamples(patients, "any text", 5)
    findings = [str(c) for c in range(labels.shape[1])]
    result = bootstrap(findings, resamples, every_statistic(scores, labels, called, resamples))
    (weights,) = resamples.weights()
    for b in range(5):
        drawn = weights[resamples.rows, b].astype(int)
        for name, expected in of_repeated(scores, labels, called, drawn).items():
            ours = result.replicates[result.metrics.index(name), :, b]
            np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-12, err_msg=name)


@given(TABLES)
@settings(deadline=None, max_examples=60)
def test_the_whole_set_has_the_very_figures_of_the_functions(table):
    scores, labels, called, patients = table
    resamples = Resamples(patients, "any text", 1)
    findings = [str(c) for c in range(labels.shape[1])]
    result = bootstrap(findings, resamples, every_statistic(scores, labels, called, resamples))
    whole = of_repeated(scores, labels, called, 1)
    for row, name in enumerate(result.metrics):
        if name in ("auc", *Decisions.names):
            np.testing.assert_array_equal(result.values[row], whole[name], err_msg=name)
        else:
            np.testing.assert_allclose(result.values[row], whole[name], rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("decimals", [1, 12])
def test_sums_over_many_images_are_exact(decimals):
    rng = np.random.default_rng(0)
    labels = (rng.random((20_000, 2)) < [0.02, 0.4]).astype(float)
    scores = np.round(rng.normal(size=labels.shape) + labels, decimals)
    resamples = Resamples(rng.integers(0, 2000, len(labels)), "x", 2)
    result = bootstrap(["a", "b"], resamples, [Ranking(scores, labels, resamples)])
    np.testing.assert_array_equal(result.values[0], ranking.auc(scores, labels))
    np.testing.assert_allclose(result.values[1], ranking.average_precision(scores, labels), rtol=1e-12)
    (weights,) = resamples.weights()
    for b in range(2):
        drawn = weights[resamples.rows, b].astype(int)
        again = np.repeat(scores, drawn, axis=0), np.repeat(labels, drawn, axis=0)
        np.testing.assert_array_equal(result.replicates[0, :, b], ranking.auc(*again))
        np.testing.assert_allclose(result.replicates[1, :, b], ranking.average_precision(*again), rtol=1e-12)


def test_a_score_that_is_not_finite_makes_its_finding_undefined_everywhere():
    scores = np.array([[0.1, NAN], [0.9, 0.5], [0.4, 0.2]])
    labels = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    resamples = Resamples([1, 2, 3], "x", 20)
    result = bootstrap(
        ["sound", "broken"],
        resamples,
        [Ranking(scores, labels, resamples), Calibration(scores, labels, resamples)],
    )
    assert np.isnan(result.replicates[:, 1]).all()
    assert result.defined("auc") == ("sound",)


def test_resamples_draw_as_many_patients_as_there_are_and_each_as_often_on_average():
    resamples = Resamples([f"p{k // 2}" for k in range(40)], "x", 4000)
    weights = np.concatenate(list(resamples.weights()), axis=1)
    assert weights.shape == (20, 4000)
    np.testing.assert_array_equal(weights.sum(axis=0), 20)
    # Binomial(20, 1/20): mean 1, variance 0.95; five standard errors.
    np.testing.assert_allclose(weights.mean(axis=1), 1, atol=5 * np.sqrt(0.95 / 4000))
    np.testing.assert_allclose(weights.var(), 0.95, atol=0.05)


def test_resamples_follow_from_the_text_and_the_patients_alone():
    def drawn(patients, seed, replicates=70):
        return np.concatenate(list(Resamples(patients, seed, replicates).weights()), axis=1)

    patients = ["10", "9", "10", "7", "9"]
    first = drawn(patients, "passport")
    np.testing.assert_array_equal(drawn(patients[::-1], "passport"), first)
    np.testing.assert_array_equal(drawn(np.array([7, 9, 10]), "passport"), first)
    np.testing.assert_array_equal(drawn(patients, "passport", 200)[:, :70], first)
    assert (drawn(patients, "another") != first).any()
    # What is stored today is subtracted from what is computed years from now.
    golden = [[1, 3, 2, 0, 1, 0], [0, 0, 0, 1, 0, 0], [2, 0, 1, 2, 2, 3]]
    np.testing.assert_array_equal(first[:, :6], golden)


def test_images_of_a_patient_come_along_together():
    resamples = Resamples(["b", "a", "b", "c"], "x", 3)
    (weights,) = resamples.weights()
    of_images = weights[resamples.rows]
    np.testing.assert_array_equal(of_images[0], of_images[2])


def test_a_macro_average_covers_the_same_findings_in_every_replicate():
    values = np.array([[0.8, 0.6, NAN]])
    drawn = np.array([[[0.7, 0.9, NAN], [0.5, NAN, 0.7], [NAN, NAN, 0.5]]])
    replicates = Replicates(("auc",), ("a", "b", "c"), values, drawn, "x", np.full(3, np.inf))
    macro = replicates.macro("auc")
    assert macro.findings == ("a", "b")
    assert macro.value == pytest.approx(0.7)
    np.testing.assert_allclose(macro.replicates, [0.6, NAN, NAN])
    np.testing.assert_allclose(replicates.macro("auc", ["a"]).replicates, drawn[0, 0])
    assert np.isnan(replicates.macro("auc", []).value)
    assert np.isnan(replicates.macro("auc", ["c"]).value)


def test_replicates_are_stored_and_read(tmp_path):
    rng = np.random.default_rng(0)
    scores, labels = rng.random((50, 2)), (rng.random((50, 2)) < 0.3).astype(float)
    resamples = Resamples(range(50), "x", 40)
    written = bootstrap(["a", "b"], resamples, [Ranking(scores, labels, resamples)])
    written.save(tmp_path / "replicates.safetensors")
    read = Replicates.load(tmp_path / "replicates.safetensors")
    assert (read.metrics, read.findings, read.seed) == (written.metrics, written.findings, resamples.identity)
    np.testing.assert_array_equal(read.values, written.values)
    np.testing.assert_array_equal(read.replicates, written.replicates.astype(np.float32))


def test_units_are_the_patients_of_the_scarcer_side():
    patients = ["a", "a", "b", "c", "c", "d"]
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0], [0, NAN, 0], [0, NAN, 0]])
    assert Resamples(patients, "x", 1).units(labels).tolist() == [1, 2, 0]


def test_a_mean_over_findings_has_the_units_of_those_that_vary():
    drawn = np.random.default_rng(0).normal(size=(1, 3, 20_000)) * np.array([1.0, 1.0, 0.001])[:, None]
    units = np.array([31.0, 31.0, 5.0])
    replicates = Replicates(("auc",), ("a", "b", "c"), np.zeros((1, 3)), drawn, "x", units)
    # Two equal variances with 30 degrees of freedom each have 60 together.
    assert replicates.macro("auc", ["a", "b"]).units == pytest.approx(61, rel=0.01)
    assert replicates.macro("auc").units == pytest.approx(61, rel=0.01)
    assert replicates.macro("auc", ["a"]).units == pytest.approx(31)
    assert replicates.finding("auc", "a").units == 31
