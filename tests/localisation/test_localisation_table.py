"""Cut-offs and layers are chosen on tune; a planted network beats the controls, a blind one does not."""

import numpy as np
import pandas as pd
import pytest

from cxrbench.localisation.controls import centre_maps, enlarged, ideal_maps, place_maps, random_maps
from cxrbench.localisation.pairs import Window, annotated_pairs, pairs_of
from cxrbench.localisation.scoring import (
    ALL,
    CUTOFFS,
    FIXED_CUTOFF,
    METRICS,
    choose_cutoffs,
    figures,
    found_by,
    mean_with_interval,
    summary,
)
from cxrbench.localisation.table import LayerMaps, choose_layer, localise
from cxrbench.report.localisation_table import cutoff_sentence

WHOLE, SIZE = Window(0.0, 1.0), 32
FINDINGS = ("Mass", "Nodule")


def made(images, seed, findings=FINDINGS, side=0.25):
    """Pairs of images, two a patient, with a box of each finding anywhere."""
    rng = np.random.default_rng(seed)
    ids = [f"{seed}-{number:03d}" for number in range(images)]
    rows = [
        (image_id, finding, *rng.uniform(0, 1 - side, 2), side, side)
        for image_id in ids
        for finding in findings
    ]
    boxes = pd.DataFrame(rows, columns=["image_id", "finding", "x", "y", "width", "height"])
    patients = pd.Series([f"p{number // 2}" for number in range(images)], index=ids)
    return annotated_pairs(boxes, patients)


def planted(pairs, grid=(16, 16)):
    """Maps of a network that sees exactly what is annotated."""
    return ideal_maps(pairs, grid, WHOLE, SIZE)


def blind(pairs, grid=(8, 8)):
    """Maps of a network that sees nothing."""
    rng = np.random.default_rng(len(pairs))
    return enlarged(rng.random((len(pairs), *grid)), SIZE)


def located(tune, test, on_tune, on_test, grid=(8, 8)):
    return localise("layer", {}, LayerMaps(grid, on_tune), tune, on_test, test, WHOLE, "seed")


def value(found, maps, metric, finding=ALL):
    rows = found.table.set_index(["maps", "finding", "metric"])
    return rows.loc[(maps, finding, metric), "value"]


def test_pairs_keep_all_boxes_of_a_finding():
    boxes = pd.DataFrame(
        [("b", "Mass", 0.1, 0.2, 0.3, 0.4), ("a", "Nodule", 0, 0, 1, 1), ("b", "Mass", 0.5, 0.5, 0.5, 0.5)],
        columns=["image_id", "finding", "x", "y", "width", "height"],
    )
    patients = pd.Series({"a": "p", "b": "q"})
    pairs = annotated_pairs(boxes, patients)
    assert list(zip(pairs.image_ids, pairs.findings, pairs.patients, strict=True)) == [
        ("a", "Nodule", "p"),
        ("b", "Mass", "q"),
    ]
    np.testing.assert_allclose(pairs.boxes[1], [[0.1, 0.2, 0.4, 0.6], [0.5, 0.5, 1, 1]])
    np.testing.assert_allclose(pairs.boxes[0, 0], [0, 0, 1, 1])
    assert np.isnan(pairs.boxes[0, 1]).all()
    assert pairs_of(["a"], ["Mass"], patients, boxes).boxes.shape == (1, 0, 4)


def test_boxes_go_into_the_window_and_back():
    window = Window(0.05, 0.9)
    boxes = np.array([[0.05, 0.05, 0.95, 0.5]])
    np.testing.assert_allclose(window.within(boxes), [[0, 0, 1, 0.5]])
    np.testing.assert_allclose(window.whole(window.within(boxes)), boxes)


def test_a_network_that_sees_the_boxes_beats_the_controls_and_a_blind_one_does_not():
    tune, test = made(40, 1), made(60, 2)
    seeing = located(tune, test, planted(tune), planted(test), (16, 16))
    assert seeing.surely_better("iobb_0.25", ("random", "centre")) == list(FINDINGS)
    assert value(seeing, "network", "iou_0.5") > 0.8
    assert value(seeing, "network", "pointing") > 0.95
    assert seeing.empty == 0
    unseeing = located(tune, test, blind(tune), blind(test))
    assert unseeing.surely_better("iobb_0.25", ("random", "centre")) == []
    assert value(unseeing, "network", "mean_iou") == pytest.approx(
        value(unseeing, "random", "mean_iou"), abs=0.06
    )


def test_nothing_of_test_is_fitted_on():
    tune, test = made(30, 1), made(30, 2)
    one = located(tune, test, planted(tune), planted(test))
    other = located(tune, test, planted(tune), blind(test))
    assert one.cutoffs == other.cutoffs
    cutoffs = [each.table.set_index(["maps", "finding", "metric"])["cutoff"] for each in (one, other)]
    pd.testing.assert_series_equal(*cutoffs)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (20, "Cut-offs were chosen on 40 annotated findings of other patients"),
        (2, "4 annotated findings of other patients are too few to choose on: the cut-off is 0.7 of"),
        (0, "0 annotated findings of other patients are too few to choose on"),
    ],
)
def test_what_cutoffs_were_chosen_on_is_told(images, said):
    tune, test = made(images, 1) if images else made(2, 1).at(np.zeros(4, bool)), made(10, 2)
    found = located(tune, test, planted(tune), planted(test))
    assert said in cutoff_sentence(found)
    assert (set(found.cutoffs.values()) == {CUTOFFS.index(FIXED_CUTOFF)}) == (images < 5)


def test_no_network_is_above_the_ceiling_of_its_grid():
    test = made(40, 2)
    coarse = planted(test, (4, 4))
    found = located(made(30, 1), test, planted(made(30, 1), (4, 4)), coarse, (4, 4))
    for metric in METRICS[:-2]:
        assert value(found, "network", metric) <= value(found, "ceiling", metric)
    fine = located(made(30, 1), test, planted(made(30, 1)), planted(test), (16, 16))
    assert value(fine, "ceiling", "iou_0.5") > value(found, "ceiling", "iou_0.5")


def test_the_cutoff_has_the_highest_mean_iou_on_tune():
    tune = made(30, 1)
    found = found_by(planted(tune), tune, WHOLE)
    chosen = choose_cutoffs(found, tune, FINDINGS)
    for finding, place in chosen.items():
        own = found.iou[tune.findings == finding].mean(axis=0)
        assert own[place] == own.max()


def test_few_pairs_share_a_cutoff_and_very_few_get_the_fixed_one():
    tune = made(30, 1, ("Mass",))
    found = found_by(planted(tune), tune, WHOLE)
    assert choose_cutoffs(found, tune, FINDINGS)["Nodule"] == choose_cutoffs(found, tune, FINDINGS)["Mass"]
    few = tune.at(np.arange(9))
    (place,) = choose_cutoffs(found_by(planted(few), few, WHOLE), few, ["Mass"]).values()
    assert CUTOFFS[place] == FIXED_CUTOFF


def test_without_boxes_on_tune_the_table_is_still_made():
    nobody, test = made(0, 1), made(20, 2)
    found = located(nobody, test, np.zeros((0, SIZE, SIZE), np.float32), planted(test), (16, 16))
    assert {CUTOFFS[place] for place in found.cutoffs.values()} == {FIXED_CUTOFF}
    assert value(found, "place", "iobb_0.1") == 0  # it points nowhere
    assert value(found, "network", "pointing") == 1


def test_the_layer_that_finds_tunes_boxes_best_is_taken():
    tune = made(30, 1)
    layers = {"coarse": LayerMaps((2, 2), planted(tune, (2, 2))), "fine": LayerMaps((16, 16), planted(tune))}
    name, values = choose_layer(layers, tune, WHOLE)
    assert name == "fine"
    assert values["fine"] > values["coarse"]
    nobody = made(0, 1)
    none = {name: LayerMaps((2, 2), np.zeros((0, SIZE, SIZE), np.float32)) for name in layers}
    assert choose_layer(none, nobody, WHOLE)[0] == "coarse"


def test_a_map_of_zeros_misses():
    test = made(20, 2)
    found = found_by(np.zeros((len(test), SIZE, SIZE), np.float32), test, WHOLE)
    values = figures(found, test, dict.fromkeys(FINDINGS, 0))
    assert (values[:, :-1] == 0).all()
    assert np.isnan(values[:, -1]).all()


def test_means_and_intervals():
    pairs = made(60, 3, ("Mass",))
    values = np.random.default_rng(0).random((len(pairs), len(METRICS)))
    table = summary(values, pairs, "seed").set_index(["finding", "metric"])
    own = table.loc["Mass"]
    np.testing.assert_allclose(own["value"], values.mean(axis=0))
    assert (own["pairs"].iloc[0], own["patients"].iloc[0]) == (60, 30)
    # Resamples of 30 patients with two images each: half-width near 1.96 SD of patients' means / √30.
    spread = values.reshape(30, 2, -1).mean(axis=1).std(axis=0, ddof=1) / np.sqrt(30)
    half = (own["high"] - own["low"]) / 2
    np.testing.assert_allclose(half, 2.05 * spread, rtol=0.2)
    pd.testing.assert_series_equal(
        own["low"], summary(values, pairs, "seed").set_index("metric")["low"][: len(METRICS)]
    )
    mean, interval = mean_with_interval(values[:, 0], pairs.patients, "seed")
    assert mean == pytest.approx(values[:, 0].mean())
    assert (interval.low, interval.high) == pytest.approx((own["low"].iloc[0], own["high"].iloc[0]))


def test_controls_follow_from_the_pairs_alone():
    pairs, more = made(5, 1), made(9, 1)
    np.testing.assert_array_equal(random_maps(pairs, (4, 4), SIZE), random_maps(pairs, (4, 4), SIZE))
    assert random_maps(more, (4, 4), SIZE).std() > 0.1
    centre = centre_maps(pairs, SIZE)
    assert centre.shape == (10, SIZE, SIZE)
    assert centre[0].argmax() in (15 * SIZE + 15, 15 * SIZE + 16, 16 * SIZE + 15, 16 * SIZE + 16)
    known = made(3, 7, ("Mass",), side=0.5)
    place = place_maps(pairs, known, WHOLE, SIZE)
    assert place[pairs.findings == "Nodule"].max() == 0
    assert place[pairs.findings == "Mass"].max() == 1
