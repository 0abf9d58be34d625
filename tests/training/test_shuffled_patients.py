"""The control of what patient data is worth: images with the patient data of others."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from conftest import job_of

from cxrbench.grid import cells
from cxrbench.plugins import installed

SUITE = Path(__file__).parent.parent.parent / "benchmarks" / "suites" / "fusion.toml"


def test_every_image_gets_anothers_and_none_is_lost(tmp_path):
    own, shuffled = (job_of(tmp_path, patient_data=data)._rows("train") for data in ("own", "shuffled"))
    assert (own.image_ids == shuffled.image_ids).all()
    assert sorted(map(tuple, own.patient.tolist())) == sorted(map(tuple, shuffled.patient.tolist()))
    # Some others have the same age, sex and view; most have not.
    assert (own.patient != shuffled.patient).any(axis=1).mean() > 0.8
    again = job_of(tmp_path, patient_data="shuffled")._rows("train")
    assert np.array_equal(shuffled.patient, again.patient)


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
