"""The control of what patient data is worth: images with the patient data of others."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import job_of

from cxrbench.grid import cells
from cxrbench.plugins import installed
from cxrbench.training.batches import Rows

SUITE = Path(__file__).parent.parent.parent / "benchmarks" / "suites" / "fusion.toml"


def test_every_image_gets_anothers_and_none_is_lost():
    rng = np.random.default_rng(0)
    ids = pd.Index([f"i{place:03d}" for place in range(200)])
    patient = rng.random((200, 3), np.float32)
    own = Rows(ids, patient, None, np.arange(200), rng.random((200, 2)))
    shuffled = own.with_patients_shuffled()
    assert (shuffled.image_ids == ids).all()
    assert np.array_equal(shuffled.labels, own.labels)
    assert sorted(map(tuple, shuffled.patient.tolist())) == sorted(map(tuple, patient.tolist()))
    assert (shuffled.patient != patient).any(axis=1).all()
    # It follows from the ids alone: the same pairs of images in another order of rows.
    order = rng.permutation(200)
    other = Rows(ids[order], patient[order], None, np.arange(200), None).with_patients_shuffled()
    assert np.array_equal(other.patient, shuffled.patient[order])


@pytest.mark.parametrize(("use", "differs"), [("image", False), ("patient", True), ("both", True)])
def test_only_networks_that_see_patient_data_are_other_networks(tmp_path, use, differs):
    keys = [
        job_of(tmp_path, backbone=f"densenet_fpn:use={use}", patient_data=data).steps.train.key
        for data in ("own", "shuffled")
    ]
    assert (keys[0] != keys[1]) == differs


def test_the_suite_holds_each_alone_both_and_the_control():
    given = tomllib.loads(SUITE.read_text())
    told = {
        (cell.backbone.options["use"], cell.patient_data)
        for cell in cells(given, {}, [], installed().registry)
    }
    assert {("image", "own"), ("patient", "own"), ("both", "own"), ("both", "shuffled")} <= told
