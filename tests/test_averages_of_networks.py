"""Runs of several networks: averaged, and trained on labels that others gave."""

import numpy as np
import pandas as pd
import pytest
from conftest import job_of
from scipy.special import expit, softmax

from cxrbench.files import read_json
from cxrbench.predictions import Predictions
from cxrbench.stages import average, relabel
from cxrbench.task import Task

MULTI, SINGLE = Task("multilabel", ("A", "B")), Task("singlelabel", ("A", "B", "C"))


def predictions(task, logits):
    table = pd.DataFrame(
        np.asarray(logits, np.float32), index=pd.Index(["i0", "i1"]), columns=list(task.classes)
    )
    return Predictions(task, table)


@pytest.mark.parametrize(("task", "probability"), [(MULTI, expit), (SINGLE, lambda x: softmax(x, axis=1))])
def test_probabilities_are_averaged_not_logits(tmp_path, task, probability):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, (3, 2, len(task.classes))).astype(np.float32)
    average.run(tmp_path, [predictions(task, each) for each in logits], [1.0] * 3)
    found = Predictions.read(tmp_path / "predictions.parquet").table.to_numpy()
    np.testing.assert_allclose(
        probability(found), np.mean([probability(each) for each in logits], axis=0), rtol=1e-5
    )


def test_an_average_of_sure_networks_is_finite(tmp_path):
    average.run(
        tmp_path,
        [predictions(MULTI, [[400, -400], [90, 0]]), predictions(MULTI, [[500, -300]] * 2)],
        [1, None],
    )
    assert np.isfinite(Predictions.read(tmp_path / "predictions.parquet").table).all(axis=None)


def test_labels_follow_the_threshold_of_best_f1_on_tune(tmp_path):
    """On tune .6 tells A's positives from the others; B has no positive there, so its labels stay."""
    tune = np.log([[0.8 / 0.2, 1], [0.6 / 0.4, 1], [0.5 / 0.5, 1]]), np.array([[1, 0], [1, 0], [0, 0]], float)
    train = np.log([[0.7 / 0.3, 1], [0.55 / 0.45, 1]]), np.array([[0, 1], [1, np.nan]], float)
    relabel.run(tmp_path, MULTI, pd.Index(["i0", "i1"]), train, tune)
    labels = pd.read_parquet(tmp_path / "labels.parquet")[["A", "B"]].to_numpy()
    np.testing.assert_array_equal(labels, [[1, 1], [0, np.nan]])
    assert read_json(tmp_path / "relabelling.json")["A"]["changed"] == 2


@pytest.mark.slow
def test_a_run_of_two_networks_is_made_of_those_of_its_seeds(tmp_path):
    both = job_of(tmp_path, averaged=2, seed=1)
    singles = [job_of(tmp_path, seed=seed) for seed in (2, 3)]
    assert [step.id for step in both.steps.trainings] == [job.steps.train.id for job in singles]
    record = read_json(both.do().folder / "run.json")
    assert not any(job.trains for job in singles)
    probabilities = []
    for job in [*singles, both]:
        job.do()
        folder = tmp_path / "artifacts" / job.steps.predictions["test"].id
        probabilities.append(expit(Predictions.read(folder / "predictions.parquet").table))
    first, second, mean = probabilities
    np.testing.assert_allclose(mean, (first + second) / 2, atol=1e-6)
    alone = read_json(tmp_path / "runs" / singles[0].steps.run.name / "run.json")
    assert record["parameters"] == 2 * alone["parameters"]
    assert record["flops"] == 2 * alone["flops"] > 0
    assert len(record["trainings"]) == 2


def test_relabelled_training_reads_the_teachers_labels_and_no_test(tmp_path):
    job = job_of(tmp_path, relabelled_by=2, seed=5)
    assert len(job.plan().new_trainings) == 3
    job.do()
    teachers = [job_of(tmp_path, seed=seed) for seed in (0, 1)]
    assert not any(teacher.trains for teacher in teachers)
    assert job_of(tmp_path, seed=5).trains  # on the published labels it is another network
    reads = pd.read_json(tmp_path / "label_reads.jsonl", lines=True)
    (relabelled,) = (step for step in job.steps.made_by if step.stage == "relabel")
    read = reads[reads["reader"] == relabelled.id]
    assert sorted(read["role"]) == ["train", "tune"]
    assert set(reads[reads["reader"] == job.steps.train.id]["role"]) == {"train", "val"}
