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
    label_strings,
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


# Other splits


def test_a_data_set_s_own_roles_come_first():
    table = manifest(("a", "1", "test"), ("b", "2", "train_val"), ("c", "3", None), ("d", "4", "test"))
    table["role"] = ["train", "test", "val", None]
    assert assign_roles(table).to_dict() == {"a": "train", "b": "test", "c": "val", "d": "test"}


def test_without_lists_or_roles_the_official_split_is_by_patient():
    table = manifest(*((f"{i}.png", str(i // 2), None) for i in range(400)))
    assert assign_roles(table).equals(assign_roles(table, split="patient"))
    assert set(assign_roles(table)) == set(ROLES)


@given(manifests(), st.data())
def test_the_split_by_patient_follows_from_the_patient_alone(table, data):
    roles = assign_roles(table, split="patient")
    assert roles.groupby(table["patient_id"]).nunique().max() == 1
    assert sum(shared_patients(table, roles).values()) == 0
    rows = data.draw(st.lists(st.integers(0, len(table) - 1), unique=True, min_size=1))
    assert assign_roles(table.iloc[rows], split="patient").equals(roles.iloc[rows])


def test_the_split_by_patient_has_a_fifth_in_test_and_the_rest_as_before():
    n = 20_000
    table = manifest(*((str(i), str(i), "train_val") for i in range(n)))
    roles = assign_roles(table, split="patient")
    shares = (roles.value_counts() / n).to_dict()
    tolerance = 4 * 0.5 / np.sqrt(n)
    assert shares == pytest.approx({"train": 0.56, "val": 0.08, "tune": 0.16, "test": 0.2}, abs=tolerance)
    rest = roles[roles != "test"]
    assert rest.equals(assign_roles(table)[rest.index])


def images(counts):
    """So many images of each label string, each with a patient of its own, in an order of their own."""
    strings = [string for string, count in counts.items() for _ in range(count)]
    order = np.random.default_rng(0).permutation(len(strings))
    table = manifest(*((f"{i:05d}", str(i), "train_val") for i in order))
    strings = pd.Series(np.array(strings)[order], index=table.index)
    return table, strings.str.get_dummies("|").drop(columns="No Finding").astype("float32"), strings


STRINGS = {"No Finding": 500, "Mass": 101, "Mass|Nodule": 49, "Nodule": 33, "Hernia": 4, "Effusion": 13}


def test_the_split_by_image_holds_its_shares_in_each_stratum():
    table, labels, strings = images(STRINGS)
    roles = assign_roles(table, labels, "image")
    n = sum(STRINGS.values())
    assert roles.value_counts().to_dict() == {"test": n / 5, "val": n * 0.08, "train": n * 0.72}
    for _, of_stratum in roles.groupby(strings.str[:4]):
        for role, share in (("test", 0.2), ("val", 0.08), ("train", 0.72)):
            assert abs((of_stratum == role).sum() - share * len(of_stratum)) <= 1.5
    assert assign_roles(table.iloc[::-1], labels.iloc[::-1], "image").iloc[::-1].equals(roles)


def test_the_split_by_image_keeps_nearly_every_role_where_an_image_is_missing():
    table, labels, _ = images(STRINGS)
    whole, part = assign_roles(table, labels, "image"), assign_roles(table.iloc[1:], labels.iloc[1:], "image")
    assert (whole[part.index] != part).sum() <= 2 * len(STRINGS)


def test_label_strings_are_as_nih_writes_them():
    _, labels, strings = images(STRINGS)
    assert label_strings(labels).tolist() == strings.tolist()
    labels.iloc[0] = np.nan
    assert label_strings(labels).iloc[0] == "No Finding"
