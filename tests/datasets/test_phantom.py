"""The embedded data set: who has what, what is drawn, and that it is the same everywhere."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cxrbench.datasets.phantom import MIN_POSITIVES, Phantom
from cxrbench.datasets.phantom.anatomy import pose_of, thorax_of
from cxrbench.datasets.phantom.drawing import film
from cxrbench.datasets.phantom.patients import PER_MILLE, Study, cohort
from cxrbench.datasets.phantom.signs import chest_with_signs
from cxrbench.errors import CxrbenchError
from cxrbench.findings import NIH_FINDINGS
from cxrbench.options import instantiate
from cxrbench.registry import Component
from cxrbench.roles import ROLES, assign_roles, shared_patients

SMALL = Phantom(train_val=120, test=40)


def study(findings=(), *, number=7, sex="M", view="PA", age=50):
    name = f"phantom-{number:06d}"
    return Study(
        image_id=f"{name}_000",
        patient_id=name,
        age=age,
        sex=sex,
        view=view,
        official="train_val",
        findings=findings,
    )


def digest(frame) -> str:
    return hashlib.blake2b(frame.to_csv().encode(), digest_size=8).hexdigest()


# --- The same on every machine ----------------------------------------------------------------------


def test_tables_are_those_of_version_1():
    collection = Phantom().read(None)
    assert digest(collection.manifest.drop(columns="role")) == "9ade06f02f2cc5b4"
    assert digest(collection.labels.astype(int)) == "b95e4a8975a8a2fc"
    assert digest(collection.boxes.set_index("image_id")) == "3865af986ebca98b"


SAMPLES = {
    "phantom-000007_000": [
        [160, 161, 210, 171, 173],
        [178, 81, 243, 89, 166],
        [176, 138, 243, 89, 171],
        [170, 228, 248, 207, 165],
        [174, 196, 248, 207, 170],
    ],
    "phantom-000006_002": [
        [150, 159, 187, 163, 162],
        [185, 85, 239, 86, 179],
        [150, 83, 241, 194, 168],
        [144, 226, 248, 242, 173],
        [201, 207, 248, 207, 195],
    ],
    "phantom-000010_002": [
        [167, 162, 203, 161, 154],
        [161, 64, 214, 64, 157],
        [99, 67, 239, 65, 153],
        [97, 53, 170, 48, 150],
        [192, 193, 234, 188, 167],
    ],
    "phantom-000001_001": [
        [147, 150, 190, 149, 148],
        [155, 52, 223, 56, 157],
        [111, 62, 227, 57, 152],
        [108, 134, 223, 57, 154],
        [187, 188, 236, 197, 175],
    ],
}


@pytest.mark.parametrize("image_id", SAMPLES)
def test_pixels_are_those_of_version_1_within_one_grey_level(image_id):
    image = Phantom().pixels(None, image_id, 64)
    expected = np.array(SAMPLES[image_id])
    np.testing.assert_allclose(image[8::12, 8::12].astype(int), expected, atol=1)


# --- Who has what -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 17, 2**40])
def test_any_seed_keeps_the_order_of_prevalence_and_the_floors(seed):
    collection = Phantom(seed=seed).read(None)
    roles = assign_roles(collection.manifest)
    by_role = collection.labels.groupby(roles).sum()
    for role in ROLES:
        assert by_role.loc[role].min() >= MIN_POSITIVES[role]
    train_val = by_role.loc[["train", "val", "tune"]].sum()[list(PER_MILLE)]
    assert (train_val.diff().dropna() < 0).all()
    assert (collection.labels.mean() >= 0.03).all()
    assert 0.35 <= (collection.labels.sum(axis=1) == 0).mean() <= 0.45
    assert 1200 <= (roles == "train").sum() <= 1270
    assert len(collection.notes) == 1


def test_roles_have_the_same_sizes_for_every_seed():
    sizes = [assign_roles(Phantom(seed=seed).read(None).manifest).value_counts().to_dict() for seed in (0, 5)]
    assert sizes[0] == sizes[1]


def test_lists_have_the_asked_sizes_and_share_no_patient():
    manifest = Phantom().read(None).manifest
    assert manifest["official"].value_counts().to_dict() == {"train_val": 1780, "test": 600}
    assert not any(shared_patients(manifest, assign_roles(manifest)).values())
    assert manifest.groupby("patient_id").size().between(1, 6).all()
    assert manifest.groupby("patient_id").size().mean() > 1.5
    assert manifest.groupby("patient_id")["sex"].nunique().max() == 1
    assert manifest["age"].between(18, 95).all()
    assert set(manifest["view"]) == {"PA", "AP"}


def test_findings_come_together_as_in_life():
    labels = Phantom(train_val=6000, test=1).read(None).labels
    for finding, other in (
        ("Atelectasis", "Effusion"),
        ("Edema", "Cardiomegaly"),
        ("Pneumonia", "Infiltration"),
    ):
        with_other = labels.loc[labels[other] == 1, finding].mean()
        assert with_other > 1.3 * labels.loc[labels[other] == 0, finding].mean()


def test_a_smaller_phantom_is_a_part_of_the_larger_one():
    large, small = Phantom().read(None), SMALL.read(None)
    assert set(small.manifest.index) < set(large.manifest.index)
    assert small.labels.equals(large.labels.loc[small.labels.index])
    assert small.manifest.equals(large.manifest.loc[small.manifest.index])
    image_id = small.manifest.index[3]
    assert np.array_equal(SMALL.pixels(None, image_id, 48), Phantom().pixels(None, image_id, 48))


def test_a_small_phantom_says_that_positives_are_few():
    assert any("under 8 positives" in note and "val" in note for note in SMALL.read(None).notes)


def test_a_single_image_in_each_list_is_enough():
    assert len(Phantom(train_val=1, test=1).read(None).manifest) == 2


def test_label_noise_flips_its_share_of_train_val_and_nothing_else():
    clean, noisy = Phantom().read(None), Phantom(label_noise=0.2).read(None)
    flipped = clean.labels != noisy.labels
    train_val = clean.manifest["official"] == "train_val"
    assert not flipped[~train_val].any(axis=None)
    assert flipped[train_val].to_numpy().mean() == pytest.approx(0.2, abs=0.01)
    assert (noisy.labels.dtypes == np.float32).all()
    assert clean.boxes.equals(noisy.boxes)
    image_id = flipped.index[flipped.any(axis=1)][0]
    pixels = [Phantom(label_noise=noise).pixels(None, image_id, 64) for noise in (0.0, 0.2)]
    assert np.array_equal(*pixels)


def test_prevalence_shift_multiplies_the_test_list_only():
    plain, shifted = Phantom().read(None), Phantom(prevalence_shift=2.0).read(None)
    train_val = plain.manifest["official"] == "train_val"
    assert plain.labels[train_val].equals(shifted.labels[train_val])
    ratio = shifted.labels[~train_val].sum() / plain.labels[~train_val].sum()
    assert (ratio.between(1.9, 2.1)).all()
    assert any("2 times as frequent in test" in note for note in shifted.notes)


def test_another_seed_is_another_population():
    a, b = (Phantom(seed=seed).read(None) for seed in (0, 1))
    assert not a.labels.equals(b.labels)
    assert (
        Phantom().pixels(None, a.labels.index[0], 64) != Phantom(seed=1).pixels(None, a.labels.index[0], 64)
    ).any()


def test_options_are_checked():
    component = Component("dataset", "phantom", "cxrbench.datasets.phantom:Phantom", "1", "drawn", "cxrbench")
    assert instantiate(component, {"train_val": "120", "test": "40"}) == SMALL
    for wrong in ({"label_noise": 0.6}, {"seed": -1}, {"train_val": 0}, {"size": 3}):
        with pytest.raises(CxrbenchError, match="phantom"):
            instantiate(component, wrong)


# --- What is drawn ----------------------------------------------------------------------------------


def test_an_image_does_not_depend_on_the_order_of_drawing():
    ids = list(SMALL.read(None).manifest.index[:6])
    forwards = {i: SMALL.pixels(None, i, 64) for i in ids}
    for side in (100, 64):
        backwards = {i: SMALL.pixels(None, i, side) for i in reversed(ids)}
    assert all(np.array_equal(forwards[i], backwards[i]) for i in ids)


def test_an_unknown_image_is_refused():
    with pytest.raises(CxrbenchError, match="no image 'phantom-999999_000'"):
        SMALL.pixels(None, "phantom-999999_000", 64)


@pytest.mark.parametrize("side", [32, 33, 72, 1024])
def test_any_side_can_be_drawn(side):
    everything = study(NIH_FINDINGS)
    image = film(0, everything, side)
    assert image.shape == (side, side)
    assert image.dtype == np.uint8
    assert image.std() > 30


@pytest.mark.parametrize("finding", ["No Finding", *NIH_FINDINGS])
def test_the_picture_is_the_same_at_every_resolution(finding):
    patient = study(() if finding == "No Finding" else (finding,))
    small, large = (film(0, patient, side).astype(float) for side in (64, 256))
    reduced = large.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    assert np.corrcoef(small.ravel(), reduced.ravel())[0, 1] > 0.98
    assert np.abs(small - reduced).mean() < 5


def box_mask(boxes, side, margin=1.5):
    centres = np.arange(side) + 0.5
    mask = np.zeros((side, side), dtype=bool)
    for left, top, right, bottom in boxes:
        rows = (centres > top * side - margin) & (centres < bottom * side + margin)
        columns = (centres > left * side - margin) & (centres < right * side + margin)
        mask |= rows[:, None] & columns
    return mask


@pytest.mark.parametrize("view", ["PA", "AP"])
@pytest.mark.parametrize("finding", NIH_FINDINGS)
def test_a_sign_is_seen_and_lies_in_its_boxes(finding, view):
    inside, total = 0.0, 0.0
    for number in range(1, 13):
        sick, healthy = (study(f, number=number, view=view, sex="MF"[number % 2]) for f in ((finding,), ()))
        difference = np.abs(film(0, sick, 128).astype(float) - film(0, healthy, 128))
        pose = pose_of(0, sick)
        _, signs = chest_with_signs(0, sick, thorax_of(0, sick))
        boxes = [pose.to_film(box) for box in signs[finding].boxes()]
        assert difference.max() > 10
        inside += difference[box_mask(boxes, 128)].sum()
        total += difference.sum()
    # Overinflation and shrinkage also move the abdomen, which no box of the lungs holds.
    least = {"Emphysema": 0.7, "Fibrosis": 0.9, "Atelectasis": 0.85}.get(finding, 0.98)
    assert inside / total > least


def test_boxes_belong_to_positives_and_lie_in_the_central_nine_tenths():
    collection = Phantom().read(None)
    boxes = collection.boxes
    positives = {(i, f) for f in NIH_FINDINGS for i in collection.labels.index[collection.labels[f] == 1]}
    assert set(zip(boxes["image_id"], boxes["finding"], strict=True)) == positives
    assert (boxes[["x", "y"]] > 0.05).all(axis=None)
    assert (boxes["x"] + boxes["width"] < 0.95).all()
    assert (boxes["y"] + boxes["height"] < 0.95).all()
    assert (boxes[["width", "height"]] > 0.02).all(axis=None)


def test_nodules_and_masses_differ_in_size():
    boxes = Phantom().read(None).boxes.groupby("finding")
    size = {f: boxes.get_group(f)[["width", "height"]].to_numpy() for f in ("Nodule", "Mass")}
    assert size["Nodule"].max() < size["Mass"].min()


def test_a_patient_keeps_the_same_chest_and_a_bedside_film_shows_a_larger_heart():
    first = study(number=11)
    second = replace(first, image_id="phantom-000011_001")
    a, b = thorax_of(0, first), thorax_of(0, second)
    assert (a.width, a.hilum, a.heart[2]) == (b.width, b.hilum, b.heart[2])
    assert thorax_of(0, study(number=11, view="AP")).heart[2] > a.heart[2]


def test_the_truth_is_kept_for_as_long_as_it_is_used():
    assert cohort(0, 120, 40, 1.0) is cohort(0, 120, 40, 1.0)
