"""The published sampling, on a handful of rows and on NIH's whole table."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrbench.collection import BOX_COLUMNS, MANIFEST_COLUMNS, Collection
from cxrbench.errors import UsageError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.losses.weighted_bce import PUBLISHED, WeightedBce
from cxrbench.roles import shared_patients
from cxrbench.samplers.fpn_fusion import FpnFusion
from cxrbench.selection import Selection
from cxrbench.task import Task
from cxrbench.training.randomness import hash_ids, sampler_draws

PUBLISHED_WEIGHTS = np.array([PUBLISHED[name] for name in NIH_FINDINGS])


def labels_of(**counts):
    """Labels of so many images that show ``Hernia``, or ``Mass__Hernia``, and nothing else."""
    rows = []
    for names, count in counts.items():
        row = [float(finding in names.split("__")) for finding in NIH_FINDINGS]
        rows += [row] * count
    return np.array(rows)


def draws_of(labels):
    return np.random.default_rng(0).random(len(labels))


def shown(labels, rows):
    """How many rows have each label string."""
    strings = ["__".join(np.compress(row == 1, NIH_FINDINGS)) or "nothing" for row in labels[rows]]
    return pd.Series(strings, dtype="str").value_counts().to_dict()


COUNTS = {"nothing": 200, "Infiltration": 100, "Effusion": 60, "Atelectasis": 40, "Atelectasis__Effusion": 7}


def test_the_subset_keeps_shares_of_images_that_show_one_thing_alone():
    labels = labels_of(**COUNTS, Hernia=5)
    kept = FpnFusion().subset(labels, NIH_FINDINGS, draws_of(labels))
    expected = {"nothing": 20, "Infiltration": 15, "Effusion": 30, "Atelectasis": 20}
    assert shown(labels, kept) == {**expected, "Atelectasis__Effusion": 7, "Hernia": 5}


def test_as_fitted_leaves_atelectasis_whole_and_takes_nine_tenths_of_all_rows():
    labels = labels_of(**COUNTS, Hernia=500)
    draws = draws_of(labels)
    kept = FpnFusion(preset="as_fitted").subset(labels, NIH_FINDINGS, draws)
    assert kept.sum() == round(0.9 * (20 + 15 + 30 + 40 + 7 + 500))
    # The tenth that goes is chosen apart from what went before: it comes from all draws alike.
    hernia = labels[:, NIH_FINDINGS.index("Hernia")] == 1
    assert draws[hernia & kept].max() > 0.98
    assert draws[hernia & ~kept].min() < 0.25


def test_rare_findings_are_mirrored_then_repeated():
    labels = labels_of(Hernia=3, Mass__Hernia=2, Mass=30, Nodule=12, Edema=20)
    plan = FpnFusion(mirror_below=20, repeat_to=16).balance(labels, NIH_FINDINGS, draws_of(labels))
    # Hernia: 5 and 3 mirrored, then those alone up to 16, one way round and then the other.
    assert shown(labels, plan.rows) == {
        "Hernia": 14,
        "Mass__Hernia": 2,
        "Mass": 30,
        "Nodule": 24,
        "Edema": 20,
    }
    assert shown(labels, plan.rows[plan.mirrored]) == {"Hernia": 3 + 3, "Nodule": 12}
    # Repeats are spread over the images: none is seen twice more often than another, either way round.
    hernia = pd.Series(plan.rows[plan.rows < 3]).value_counts()
    assert hernia.max() - hernia.min() <= 1


def test_training_sees_a_quarter_without_finding_and_half_of_atelectasis_alone():
    labels = labels_of(nothing=80, Atelectasis=40, Atelectasis__Mass=6)
    plan = FpnFusion(mirror_below=0, repeat_to=0).balance(labels, NIH_FINDINGS, draws_of(labels))
    assert shown(labels, plan.rows) == {"nothing": 20, "Atelectasis": 20, "Atelectasis__Mass": 6}
    assert not plan.mirrored.any()


def test_unknown_labels_are_neither_no_finding_nor_a_finding_alone():
    labels = labels_of(nothing=50, Infiltration=50)
    labels[:, NIH_FINDINGS.index("Hernia")] = np.nan
    assert FpnFusion().subset(labels, NIH_FINDINGS, draws_of(labels)).all()


def test_other_classes_are_refused():
    with pytest.raises(UsageError, match="names Infiltration, which is no class here"):
        FpnFusion().subset(np.zeros((3, 2)), ("Covid", "Effusion"), np.zeros(3))


@pytest.fixture(scope="module")
def nih():
    """NIH's table as a data set without lists; no image is needed."""
    data = Path(os.environ.get("CXRBENCH_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))
    path = data / "nih_subset" / "Data_Entry_2017_v2020.csv"
    if not path.is_file():
        pytest.skip(f"there are no test data in {data} (CXRBENCH_TEST_DATA)")
    table = pd.read_csv(path, index_col="Image Index", dtype=str)
    labels = table["Finding Labels"].str.get_dummies("|")[list(NIH_FINDINGS)].astype("float32")
    manifest = pd.DataFrame({"patient_id": table["Patient ID"]}, columns=list(MANIFEST_COLUMNS))
    boxes = pd.DataFrame(columns=list(BOX_COLUMNS))
    task = Task("multilabel", NIH_FINDINGS)
    return Collection("NIH", task, manifest.astype({"patient_id": "str"}), labels, boxes, "v2020", {})


@pytest.mark.parametrize(
    ("preset", "used", "tested", "error"),
    [("as_stated", 45_596, 9_119, 0.04), ("as_fitted", 42_933, 8_587, 0.022)],
)
def test_counts_and_loss_weights_on_the_whole_table(nih, preset, used, tested, error):
    sampler = FpnFusion(preset=preset)
    selected = Selection(split="image", sampler=sampler).of(nih)
    counts = selected.roles.value_counts().to_dict()
    assert len(nih.labels) == 112_120
    assert len(selected.roles) == used
    assert counts["test"] == tested
    assert counts["val"] == pytest.approx(0.08 * used, abs=1)
    assert "tune" not in counts
    assert shared_patients(selected.collection.manifest, selected.roles)["train/test"] > 1000

    train = selected.collection.labels[selected.roles == "train"]
    labels = train.to_numpy(np.float64)
    plan = sampler.balance(labels, NIH_FINDINGS, sampler_draws(hash_ids(train.index), "balance", 0))
    weights = WeightedBce().positive_weights(labels[plan.rows], NIH_FINDINGS)
    differences = np.abs(weights - PUBLISHED_WEIGHTS)
    assert differences.mean() < error
    # Both rarest findings stand at the number that they are repeated to, as their equal weights say.
    for finding in ("Hernia", "Pneumonia"):
        assert labels[plan.rows][:, NIH_FINDINGS.index(finding)].sum() == 1500
