"""Counts, overlap, confusions, images, slices and label errors of panels that can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from cxrbench.error_analysis.analysis import analyse
from cxrbench.error_analysis.counts import (
    agreement_table,
    confusions_table,
    counts_table,
    overlap_table,
    runs_table,
)
from cxrbench.error_analysis.images import errors_table, groups, hardest_table
from cxrbench.error_analysis.label_errors import label_errors_table
from cxrbench.error_analysis.panel import Member, Panel
from cxrbench.error_analysis.slices import slices_table
from cxrbench.error_analysis.thumbnails import Thumbnails
from cxrbench.evaluation.cohort import Cohort
from cxrbench.report.error_page import write_errors
from cxrbench.task import Task

NAN = np.nan


def panel(kind, classes, labels, decisions, probabilities=None, facts=None, patients=None):
    labels = np.array(labels, float)
    ids = pd.Index([f"{row}.png" for row in range(len(labels))])
    if facts is None:
        facts = pd.DataFrame({"age": 50.0, "sex": "F", "view": "PA"}, index=ids)
    cohort = Cohort(
        Task(kind, classes),
        "passport",
        labels,
        pd.Series([str(p) for p in (range(len(ids)) if patients is None else patients)], ids),
        facts.set_index(ids),
    )
    members = []
    for place, each in enumerate(np.array(decisions, float)):
        given = np.nan_to_num(each, nan=0.5) * 0.8 + 0.1 if probabilities is None else probabilities[place]
        letter = "ABC"[place]
        members.append(
            Member(letter, f"run-{letter}", f"name {letter}", given, each, np.full(len(classes), 0.5))
        )
    return Panel(cohort, tuple(members))


@pytest.fixture
def several():
    """Six images, two findings, three runs; one label unknown, one decision left open."""
    labels = [[1, 0], [1, 1], [0, 0], [0, 1], [NAN, 1], [0, 0]]
    a = [[1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [0, 0]]
    b = [[0, 0], [0, 1], [1, 0], [0, 0], [0, 1], [0, NAN]]
    c = [[0, 0], [1, 0], [1, 0], [0, 1], [0, 0], [1, 1]]
    return panel("multilabel", ("Mass", "Nodule"), labels, [a, b, c])


def rows(table, *keys):
    return table.set_index(list(keys)).to_dict("index")


def test_counts_of_a_multilabel_panel(several):
    found = rows(counts_table(several), "of")
    mass = found["Mass"]
    assert (mass["units"], mass["left_out"]) == (5, 1)
    # Right by all: image 3. Nobody is wrong everywhere, as A is always right.
    assert (mass["all_right"], mass["all_wrong"], mass["some_wrong"]) == (1, 0, 4)
    nodule = found["Nodule"]
    assert (nodule["units"], nodule["left_out"], nodule["all_right"]) == (5, 1, 2)
    whole = found["images"]
    # Image 0: B and C miss Mass; 5: C calls Mass, Nodule is not counted.
    assert (whole["units"], whole["all_right"], whole["all_wrong"]) == (6, 0, 0)
    assert np.isnan(whole["missed_by_all"])
    assert found["decisions"]["units"] == 10
    assert found["decisions"]["all_right"] == 3


def test_what_only_one_run_gets_wrong_or_right(several):
    found = rows(runs_table(several), "of", "run")
    # Mass: image 0 B and C wrong, 1 B wrong, 2 B and C wrong, 5 C wrong.
    assert [found["Mass", f"run-{x}"]["only_wrong"] for x in "ABC"] == [0, 1, 1]
    assert [found["Mass", f"run-{x}"]["only_right"] for x in "ABC"] == [2, 0, 0]
    b = found["Mass", "run-B"]
    assert (b["wrong"], b["missed"], b["false"]) == (3, 2, 1)
    assert b["miss_rate"] == 1
    assert b["false_rate"] == pytest.approx(1 / 3)
    assert b["error_rate"] == pytest.approx(3 / 5)
    assert np.isnan(found["images", "run-A"]["missed"])


def test_pairs_and_overlap_add_up(several):
    pairs = rows(agreement_table(several), "of", "first", "second")
    bc = pairs["Mass", "run-B", "run-C"]
    assert (bc["both_wrong"], bc["only_first_wrong"], bc["only_second_wrong"]) == (2, 1, 1)
    assert bc["disagreement"] == pytest.approx(2 / 5)
    overlap = overlap_table(several)
    of_mass = overlap[overlap["of"] == "Mass"].set_index("runs")["units"].to_dict()
    assert of_mass == {"run-B run-C": 2, "": 1, "run-B": 1, "run-C": 1}
    units = counts_table(several).set_index("of")["units"]
    assert overlap.groupby("of")["units"].sum().to_dict() == units.to_dict()


def test_one_run_has_no_pairs_and_nothing_alone(several):
    alone = Panel(several.cohort, several.members[1:2])
    assert agreement_table(alone).empty
    assert runs_table(alone)["only_wrong"].isna().all()
    assert counts_table(alone)["fleiss_kappa"].isna().all()
    assert {group.name for group in groups(alone)} <= {"missed", "found", "falsely called"}


def test_counts_of_one_right_class():
    labels = np.eye(3)[[0, 0, 1, 1, 2]]
    called = [np.eye(3)[list(calls)] for calls in ([0, 1, 1, 0, 0], [0, 1, 0, 0, 2])]
    found = panel("singlelabel", ("None", "Mass", "Nodule"), labels, called)
    counts = rows(counts_table(found), "of")
    # Images: both right on 0; both wrong on 1 and 3; A alone wrong on 4, B alone on 2.
    assert set(counts) == {"images", "None", "Mass", "Nodule"}
    assert [counts["images"][key] for key in ("units", "all_right", "all_wrong")] == [5, 1, 2]
    assert [counts["Mass"][key] for key in ("units", "all_right", "all_wrong")] == [2, 0, 1]
    alone = rows(runs_table(found), "of", "run")
    assert [alone["images", f"run-{x}"]["only_wrong"] for x in "AB"] == [1, 1]
    # A calls None falsely on images 3 and 4.
    assert alone["None", "run-A"]["false"] == 2
    confused = rows(confusions_table(found), "run", "present", "called")
    row = confused["run-B", "Mass", "None"]
    # Of the three images of other classes B calls None on two.
    assert (row["false_calls"], row["among"], row["swapped"]) == (2, 2, 2)
    assert row["excess"] == pytest.approx(2 - 2 * 2 / 3)
    # Both call image 1 "Mass" and image 3 "None".
    assert rows(agreement_table(found), "of")["images"]["disagreement"] == pytest.approx(2 / 5)


def test_findings_taken_for_others():
    # Where Mass is, Nodule is falsely called on two of three images; elsewhere on none of three.
    labels = [[1, 0]] * 3 + [[0, 0]] * 3
    decisions = [[0, 1], [1, 1], [1, 0]] + [[0, 0]] * 3
    found = rows(confusions_table(panel("multilabel", ("Mass", "Nodule"), labels, [decisions])), "called")
    row = found["Nodule"]
    assert (row["among"], row["false_calls"], row["swapped"]) == (3, 2, 1)
    assert row["expected"] == pytest.approx(3 * 2 / 6)
    assert row["excess"] == pytest.approx(1)


def test_groups_of_images(several):
    found = {(group.finding, group.name): group.rows.tolist() for group in groups(several)}
    assert found["Mass", "found by A only"] == [0]
    assert found["Mass", "missed by B only"] == [1]
    assert found["Mass", "falsely called by C only"] == [5]
    assert found["Nodule", "missed by B only"] == [3]
    assert ("Mass", "missed by all") not in found


def test_hardest_images_and_errors_have_every_score(several):
    hard = hardest_table(several)
    assert hard["rank"].max() == 6
    first = hard[hard["rank"] == 1]
    assert len(first) == 2
    assert {"run-A", "run-A:called", "run-C"} <= set(hard)
    # Probabilities are .1 or .9: each wrong decision costs .81, each right one .01; .16 where undecided.
    by_image = hard.drop_duplicates("image_id").set_index("image_id")["hardness"]
    assert by_image["0.png"] == pytest.approx((0.02 + 0.82 + 0.82) / 3)
    errors = errors_table(several)
    assert len(errors) == several.wrong.any(axis=0).sum()
    assert errors["wrong_runs"].sum() == several.wrong.sum()
    row = errors[(errors["image_id"] == "0.png") & (errors["finding"] == "Mass")].iloc[0]
    assert (row["error"], row["run-B"], row["run-A:called"]) == ("missed", 0.1, 1)


def test_slices_find_where_errors_are_planted():
    random = np.random.default_rng(0)
    count = 1200
    labels = (random.random((count, 2)) < 0.4).astype(float)
    sex = random.choice(["F", "M"], count)
    facts = pd.DataFrame({"age": random.integers(20, 79, count).astype(float), "sex": sex, "view": "PA"})
    # Mass is missed twice as often in women; Nodule everywhere alike, but in no woman with Mass.
    missed = random.random((count, 2)) < np.column_stack(
        [np.where(sex == "F", 0.5, 0.25), np.full(count, 0.2)]
    )
    decisions = np.where(missed, 0, labels)
    both = (labels == 1).all(axis=1)
    decisions[both, 1] = 0
    patients = np.arange(count) // 2
    found = slices_table(
        panel("multilabel", ("Mass", "Nodule"), labels, [decisions], facts=facts, patients=patients)
    )
    by = rows(found, "of", "slice")
    women = by["Mass", "F"]
    assert women["error"] == pytest.approx(missed[(sex == "F") & (labels[:, 0] == 1), 0].mean())
    assert women["excess"] == pytest.approx(women["error"] - women["rest"])
    assert 0 < women["low"] < women["excess"] < women["high"]
    assert women["p_holm"] < 0.001
    pair = by["Nodule", "Nodule + Mass"]
    assert pair["error"] == 1
    # All are missed, which is no certainty.
    assert pair["low"] < pair["excess"] < pair["high"] <= 1
    assert found["low"].is_monotonic_decreasing
    # One view alone has no rest to be held against.
    assert "view" not in set(found["attribute"])
    assert by["Nodule", "F"]["p_holm"] > 0.05


def test_intervals_of_slices_cover_no_excess_as_often_as_they_say():
    random = np.random.default_rng(1)
    outside, repeats, count = 0, 200, 300
    for _ in range(repeats):
        sex = np.repeat(random.choice(["F", "M"], count // 2), 2)
        wrong = np.repeat(random.random(count // 2) < 0.15, 2) ^ (random.random(count) < 0.05)
        labels = np.zeros((count, 1))
        facts = pd.DataFrame({"age": 50.0, "sex": sex, "view": "PA"})
        table = slices_table(
            panel(
                "multilabel",
                ("Mass",),
                labels,
                [wrong[:, None].astype(float)],
                facts=facts,
                patients=np.arange(count) // 2,
            )
        )
        row = rows(table, "of", "slice")["decisions", "F"]
        outside += not row["low"] <= 0 <= row["high"]
    # 5% expected; 4 standard deviations of 200 draws either side.
    assert outside / repeats == pytest.approx(0.05, abs=0.062)


@pytest.mark.parametrize("kind", ["multilabel", "singlelabel"])
def test_planted_label_errors_are_found(kind):
    random = np.random.default_rng(2)
    count = 600
    truth = random.random(count) < 0.4
    score = np.clip(np.where(truth, 0.85, 0.15) + 0.08 * random.normal(size=count), 0.01, 0.99)
    given = truth.copy()
    given[:12] = ~given[:12]
    if kind == "multilabel":
        labels, probabilities, classes = given[:, None], score[:, None], ("Mass",)
    else:
        labels, probabilities = np.column_stack([~given, given]), np.column_stack([1 - score, score])
        classes = ("None", "Mass")
    decisions = probabilities > 0.5
    found = label_errors_table(
        panel(kind, classes, labels, [decisions], probabilities=np.asarray(probabilities, float)[None])
    )
    ids = set(found["image_id"])
    # How many it takes is an estimate; those that it takes are the planted ones.
    assert ids <= {f"{row}.png" for row in range(12)}
    assert len(ids) >= 7
    assert found["quality"].is_monotonic_increasing
    assert (found["runs_against"] == 1).all()


def test_a_finding_with_one_label_alone_has_no_label_errors():
    labels = np.zeros((20, 1))
    found = label_errors_table(panel("multilabel", ("Mass",), labels, [np.ones((20, 1))]))
    assert found.empty


def test_the_page_of_one_right_class_tells_images_and_classes(tmp_path):
    random = np.random.default_rng(3)
    truth = random.integers(0, 3, 120)
    logits = [2 * np.eye(3)[truth] + random.normal(size=(120, 3)) for _ in range(2)]
    probabilities = [np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in logits]
    called = [np.eye(3)[each.argmax(axis=1)] for each in probabilities]
    classes = ("No Finding", "Mass", "Nodule")
    found = analyse(panel("singlelabel", classes, np.eye(3)[truth], called, probabilities=probabilities))
    nothing = Thumbnails(None, None, pd.Series(dtype="str"), "No images.")
    files = write_errors(tmp_path, found, "data", nothing, 2, ("png",))
    text = files[0].read_text()
    assert all(path.stat().st_size for path in files)
    for words in ("whole images", "Each run by class", "No images.", "Missed by A only"):
        assert words in text
    assert "all decisions" not in text
    whole = found.record()["counts"][0]
    assert whole["all_right"] == (np.argmax(probabilities, axis=2) == truth).all(axis=0).sum()
