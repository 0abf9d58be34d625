"""Published predictions: AUC as published, and passports that keep test sets apart."""

import os
from pathlib import Path

import pandas as pd
import pytest

from cxrbench.plugins import installed
from cxrbench.reporter import Reporter
from cxrbench.statistics.ranking import auc
from cxrbench.store import Store
from cxrbench.workflow.scoring import ScoreRequest, Scoring


@pytest.fixture(scope="module")
def data():
    found = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    if not (found / "predictions").is_dir():
        pytest.skip(f"there are no predictions in {found} (CXRBENCH_TEST_DATA)")
    return found


@pytest.fixture
def scoring(tmp_path):
    return Scoring(Store(tmp_path, Reporter(quiet=True)), installed().registry, Reporter(quiet=True))


def published(data, **given):
    table = data / "nih_subset" / "Data_Entry_2017_v2020.csv"
    return ScoreRequest(
        sorted((data / "predictions/chexnet_22433").glob("*preds*.csv")), labels=table, **given
    )


def test_aucs_are_those_that_the_authors_published(data, scoring):
    request = published(data)
    jobs = [scoring.job(spec) for spec in scoring.specs(request, {})]
    assert len({job.passport.id for job in jobs}) == 1
    for file, job in zip(request.files, jobs, strict=True):
        expected = pd.read_csv(file.with_name(file.name.replace("preds", "aucs")), index_col="label")["auc"]
        collection, logits = job.joined.collection, job.joined.logits
        assert len(logits) == 22_433
        found = pd.Series(auc(logits.to_numpy(), collection.labels.to_numpy(float)), index=logits.columns)
        assert (found - expected.loc[found.index]).abs().max() < 1e-6


def test_two_test_sets_have_two_passports_and_files_of_one_share_it(data, scoring):
    files = sorted((data / "predictions/casp_official").glob("*.npz"))
    rows = ScoreRequest(files, rows_as_ids=True)
    jobs = [scoring.job(spec) for request in (rows, published(data)) for spec in scoring.specs(request, {})]
    assert len(jobs) == 12
    passports = [job.passport.id for job in jobs]
    assert len(set(passports[:8])) == len(set(passports[8:])) == 1
    assert passports[0] != passports[-1]
    names = [(job.spec.system, job.spec.seed) for job in jobs[:8]]
    networks = ("densenet121", "mobilenet_v2", "resnet18", "resnet50")
    assert names == [(network, seed) for network in networks for seed in (0, 1)]
