"""Who may read what: roles follow from the patient and the official list alone."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import CxrbenchError
from cxrbench.roles import (
    ROLES,
    assign_roles,
    patient_folds,
    patient_share,
    require_fit_role,
    role_of,
    shared_patients,
)

ROLES_OF_FIRST_PATIENTS = "train train tune tune train train train train tune train train train"


def manifest(*rows):
    """A manifest of (image id, patient, official list)."""
    ids, patients, official = zip(*rows, strict=True)
    return pd.DataFrame(
        {"patient_id": list(patients), "official": list(official), "role": None},
        index=pd.Index(ids, name="image_id"),
    )


@st.composite
def manifests(draw):
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 30).map(str), st.sampled_from(["train_val", "test"])),
            min_size=1,
            max_size=60,
        )
    )
    return manifest(*((f"{i:03d}.png", patient, official) for i, (patient, official) in enumerate(rows)))


def test_patients_of_train_val_are_shared_out_70_10_20():
    n = 20_000
    shares = pd.Series([role_of(str(patient), "train_val") for patient in range(n)]).value_counts() / n
    # Four standard errors of a share of .5, the widest.
    tolerance = 4 * 0.5 / np.sqrt(n)
    assert shares.to_dict() == pytest.approx({"train": 0.7, "val": 0.1, "tune": 0.2}, abs=tolerance)


def test_a_patient_s_place_never_changes():
    # Written down: another salt or hash would move patients between the roles of published runs.
    assert [role_of(str(p), "train_val") for p in range(1, 13)] == ROLES_OF_FIRST_PATIENTS.split()


def test_places_spread_evenly():
    places = np.sort([patient_share(f"{patient:05d}") for patient in range(10_000)])
    assert places[0] >= 0
    assert places[-1] < 1
    # Kolmogorov-Smirnov distance to the uniform distribution; 1.95 / sqrt(n) has p = .001.
    assert np.abs(places - np.linspace(0, 1, len(places))).max() < 1.95 / np.sqrt(len(places))


@given(manifests())
def test_all_images_of_a_patient_have_one_role_in_each_list(table):
    roles = assign_roles(table)
    assert roles.index.equals(table.index)
    assert roles.groupby([table["patient_id"], table["official"]]).nunique().max() == 1


@given(manifests())
def test_the_official_test_list_is_the_test_role(table):
    assert ((assign_roles(table) == "test") == (table["official"] == "test")).all()


@given(manifests(), st.data())
def test_a_part_of_the_data_keeps_its_roles(table, data):
    rows = data.draw(st.lists(st.integers(0, len(table) - 1), unique=True, min_size=1))
    part = table.iloc[rows]
    assert assign_roles(part).equals(assign_roles(table).iloc[rows])


@given(manifests())
def test_shared_patients_are_counted_for_each_pair(table):
    roles = assign_roles(table)
    shared = shared_patients(table, roles)
    assert list(shared) == ["train/val", "train/tune", "train/test", "val/tune", "val/test", "tune/test"]
    met = {p: {roles[i] for i in table.index[table["patient_id"] == p]} for p in set(table["patient_id"])}
    for pair, count in shared.items():
        assert count == sum(set(pair.split("/")) <= of_patient for of_patient in met.values())


def test_a_patient_in_both_lists_is_counted_as_shared():
    table = manifest(("a.png", "7", "train_val"), ("b.png", "7", "test"), ("c.png", "8", "test"))
    roles = assign_roles(table)
    assert roles["b.png"] == roles["c.png"] == "test"
    assert shared_patients(table, roles)[f"{roles['a.png']}/test"] == 1
    assert sum(shared_patients(table, roles).values()) == 1


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_fitted_on_test(role):
    if role == "test":
        with pytest.raises(CxrbenchError, match="temperature must not be fitted on the test role"):
            require_fit_role(role, "temperature")
    else:
        require_fit_role(role, "temperature")


@given(st.lists(st.text(max_size=5), max_size=40), st.integers(1, 10))
def test_all_images_of_a_patient_are_in_one_fold(patients, folds):
    found = patient_folds(pd.Series(patients, dtype="str"), folds)
    assert found.shape == (len(patients),)
    assert found.dtype == np.int64
    assert set(found) <= set(range(folds))
    assert len(set(zip(patients, found.tolist(), strict=True))) == len(set(patients))


def test_folds_are_of_like_size_and_do_not_follow_the_roles():
    patients = pd.Series([str(p) for p in range(5_000)])
    folds = patient_folds(patients, 5)
    assert np.bincount(folds) / len(folds) == pytest.approx([0.2] * 5, abs=4 * 0.5 / np.sqrt(len(folds)))
    tune = np.array([role_of(p, "train_val") == "tune" for p in patients])
    assert np.bincount(folds[tune]) / tune.sum() == pytest.approx(
        [0.2] * 5, abs=4 * 0.5 / np.sqrt(tune.sum())
    )
