"""The crop is a setting of a run: what is stored, trained on and predicted from follows it."""

import pytest
from conftest import job_of

from cxrbench.predictions import Predictions

NETWORK = {"backbone": "timm/test_resnet", "image_size": 32, "training": {"epochs": 1, "precision": "fp32"}}


def logits_on_test(results, job):
    folder = results / "artifacts" / job.steps.predictions["test"].id
    return Predictions.read(folder / "predictions.parquet").table


@pytest.mark.slow
def test_runs_that_see_other_crops_predict_otherwise(tmp_path):
    jobs = [job_of(tmp_path, crop=crop, **NETWORK) for crop in (0.9, 1.0, 0.5)]
    assert [job.images.cache.side for job in jobs] == [36, 36, 64]
    assert len({job.steps.train.id for job in jobs}) == 3
    for job in jobs:
        job.do()
    first, *others = (logits_on_test(tmp_path, job) for job in jobs)
    assert all((other.index == first.index).all() and (other != first).all(axis=None) for other in others)
