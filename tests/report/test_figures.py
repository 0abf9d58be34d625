import json
import warnings
from functools import lru_cache

import evaluating
import matplotlib
import numpy as np
import pandas as pd
import pytest
from conftest import DPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cxrbench.canonical import canonical_json
from cxrbench.evaluation.curves import curves
from cxrbench.evaluation.subgroups import subgroups_table
from cxrbench.findings import NIH_FINDINGS
from cxrbench.report import sheet as sheets
from cxrbench.report.calibration_figure import calibration_figure
from cxrbench.report.curve_figures import decision_figure, pr_figure, reliability_figure, threshold_figure
from cxrbench.report.examples_figure import MOST, examples_figure
from cxrbench.report.figures import Example, draw_run
from cxrbench.report.findings_figures import confusion_figure, roc_figure
from cxrbench.report.sheet import house_style, shortened
from cxrbench.report.subgroups_figure import subgroups_figure
from cxrbench.report.training_figure import training_figure
from cxrbench.task import Task
from cxrbench.training.log import EPOCH_COLUMNS

TITLE = "phantom (drawn images, not patients)"
CALIBRATORS = ("none", "temperature", "isotonic", "platt", "beta_calibration", "histogram")
ODD_ID = "$\\frac_x^$ <b>&amp; 胸_1\n.png"


def epochs(count: int) -> pd.DataFrame:
    table = pd.DataFrame({name: np.linspace(0.9, 0.3, count) for name in EPOCH_COLUMNS})
    table["epoch"] = range(1, count + 1)
    table["best"] = [epoch in (1, 2, 4) for epoch in table["epoch"]]
    return table


def per_finding(findings=NIH_FINDINGS) -> pd.DataFrame:
    count = len(findings)
    table = pd.DataFrame({"finding": findings, "threshold": 0.35, "feasible": True, "reason": ""})
    table = table.assign(threshold_low=0.3, threshold_high=0.45)
    for column, value in {"auc": 0.81, "recall": 0.75, "specificity": 0.9}.items():
        table[column] = value
    for column, value in {"n_pos": 40, "tp": 30, "fn": 10, "fp": 146, "tn": 1314}.items():
        table[column] = np.full(count, value)
    return table


def roc(findings=NIH_FINDINGS) -> pd.DataFrame:
    rates = {"fpr": [0, 0.1, 1], "tpr": [0, 0.75, 1], "threshold": [np.inf, 0.35, 0.01]}
    return pd.concat([pd.DataFrame({"finding": finding, **rates}) for finding in findings])


def calibration(calibrators=("none", "temperature"), findings=NIH_FINDINGS) -> pd.DataFrame:
    rows = [(c, f, 0.02 * i + 0.01, 0.1) for i, c in enumerate(calibrators) for f in findings]
    return pd.DataFrame(rows, columns=["calibrator", "finding", "ece", "brier"])


def example(**changes) -> Example:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 40), dtype=np.uint8)
    values = {
        "image_id": "a_1.png",
        "pixels": pixels,
        "truth": ("Mass", "Pleural_Thickening"),
        "called": (("Mass", 0.91, 0.5), ("Edema", 0.42, 0.4)),
        "missed": (("Pleural_Thickening", 0.1, 0.3),),
    }
    return Example(**{**values, **changes})


def draw(folder, **changes) -> None:
    tables = {
        "epochs": epochs(5),
        "roc": roc(),
        "per_finding": per_finding(),
        "calibration": calibration(),
        "curves": canonical_json(evaluated()[0]),
        "subgroups": evaluated()[1],
        "examples": [example()],
    }
    draw_run(folder, title=TITLE, network=TITLE, **{**tables, **changes})


@lru_cache
def evaluated(images: int = 400) -> tuple[dict, pd.DataFrame]:
    """Curves and subgroups of fourteen findings, as the stores' files are read."""
    task = Task("multilabel", tuple(NIH_FINDINGS))
    labels, logits, patients = evaluating.draw(0, n=images, prevalence=np.geomspace(0.01, 0.4, 14))
    labels[:, 1] = 0
    facts = {"sex": np.where(patients % 2, "F", "M").astype(object), "age": patients % 90.0, "view": "PA"}
    probabilities = task.probabilities(logits)
    cohort = evaluating.cohort_of(labels, patients, facts, task=task)
    table = subgroups_table(cohort, probabilities, probabilities.round(), 10)
    drawn = curves(task, labels, probabilities, "platt", probabilities**2)
    return json.loads(canonical_json(drawn)), table.assign(finding=table["finding"].replace("", np.nan))


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.fixture(autouse=True, scope="module")
def _every_dot():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "DPI", DPI)
        yield


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_a_run_gets_its_figures_on_white(tmp_path):
    draw(tmp_path)
    kinds = ("training", "roc", "pr", "reliability", "thresholds", "decision", "confusion", "calibration")
    names = {f"{kind}.png" for kind in (*kinds, "subgroups", "examples")}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        with Image.open(tmp_path / name) as image:
            assert image.info["dpi"] == pytest.approx((DPI, DPI), abs=0.1)
            assert 900 <= image.width <= 2000
            assert 400 <= image.height <= 2000
            grey = np.asarray(image.convert("L"))
        assert set(grey[0]) == set(grey[-1]) == {255}
        assert grey.min() < 60


def test_without_examples_there_is_no_examples_figure(tmp_path):
    draw(tmp_path, examples=[])
    assert not (tmp_path / "examples.png").exists()
    assert (tmp_path / "calibration.png").exists()


def test_everything_undefined_is_drawn(tmp_path):
    def undefined(table: pd.DataFrame, *kept: str) -> pd.DataFrame:
        return table.assign(**{name: np.nan for name in table.columns if name not in kept})

    draw(
        tmp_path,
        epochs=undefined(epochs(3), "epoch", "best"),
        roc=undefined(roc(), "finding"),
        per_finding=undefined(per_finding(), "finding", "feasible", "reason"),
        calibration=undefined(calibration(), "finding", "calibrator"),
        examples=[example(called=(("Mass", np.nan, np.nan),), missed=(("Edema", np.nan, 0.5),))],
    )
    assert len(list(tmp_path.iterdir())) == 10


def test_tables_may_come_from_their_files(tmp_path):
    tables = {"epochs": epochs(2), "roc": roc(), "per_finding": per_finding(), "calibration": calibration()}
    tables["per_finding"].loc[3, ["auc", "threshold", "recall", "specificity"]] = np.nan
    for name, table in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    draw(tmp_path, **{name: pd.read_csv(tmp_path / f"{name}.csv") for name in tables})
    assert (tmp_path / "roc.png").exists()


def test_the_users_matplotlib_settings_change_nothing_and_stay(tmp_path):
    for name in ("plain", "own"):
        (tmp_path / name).mkdir()
    draw(tmp_path / "plain")
    own = {"font.size": 31.0, "savefig.bbox": "tight", "savefig.facecolor": "black", "text.color": "red"}
    with matplotlib.rc_context(own):
        before = dict(matplotlib.rcParams)
        draw(tmp_path / "own")
        assert dict(matplotlib.rcParams) == before
    for path in (tmp_path / "plain").iterdir():
        with Image.open(path) as plain, Image.open(tmp_path / "own" / path.name) as own_settings:
            assert np.array_equal(np.asarray(plain), np.asarray(own_settings))


def test_pyplot_knows_none_of_the_figures(tmp_path):
    import matplotlib.pyplot as plt

    draw(tmp_path)
    assert plt.get_fignums() == []


def test_every_figure_says_what_it_is_of_and_not_for_clinical_use():
    with house_style():
        sheets = [
            training_figure(epochs(3), TITLE),
            roc_figure(roc(), per_finding(), TITLE),
            confusion_figure(per_finding(), TITLE),
            calibration_figure(calibration(), TITLE),
            examples_figure([example()], TITLE),
        ]
    for sheet in sheets:
        assert {TITLE, "Not for clinical use"} <= set(texts(sheet.figure))


def test_training_marks_the_last_epoch_that_was_best():
    with house_style():
        figure = training_figure(epochs(5), TITLE).figure
    assert "at the best epoch, 4" in texts(figure)
    for axes in figure.axes:
        assert any(list(line.get_xdata()) == [4, 4] for line in axes.lines)


def test_training_of_one_epoch_shows_a_point():
    with house_style():
        sheet = training_figure(epochs(1), TITLE)
        sheet.figure.draw_without_rendering()
    for axes in sheet.figure.axes:
        assert axes.lines[0].get_marker() not in ("", "None")
        ticks = [tick for tick in axes.get_xticks() if axes.get_xlim()[0] <= tick <= axes.get_xlim()[1]]
        assert ticks == [1]


def test_roc_draws_curve_and_operating_point_and_says_undefined():
    findings = ("Mass", "Edema", "Hernia")
    table = per_finding(findings)
    table.loc[1, "feasible"] = False
    table.loc[2, "auc"] = np.nan
    curves = roc(findings)
    curves.loc[curves["finding"] == "Hernia", "tpr"] = np.nan
    with house_style():
        mass, edema, hernia = roc_figure(curves, table, TITLE).tiles
    assert mass.title == "Mass  AUC 0.81"
    assert any(np.array_equal(line.get_xydata(), [[0, 0], [0.1, 0.75], [1, 1]]) for line in mass.lines)
    point = mass.lines[-1]
    assert np.allclose(point.get_xydata(), [[0.1, 0.75]])
    assert point.get_markerfacecolor() == point.get_color()
    assert edema.lines[-1].get_markerfacecolor() == "white"
    assert hernia.title == "Hernia  AUC –"
    assert not hernia.lines
    assert "undefined" in written(hernia)


def written(tile) -> list[str]:
    return [text.get_text() for text in tile.texts]


def test_a_tile_draws_points_where_its_limits_put_them():
    with house_style():
        (tile,) = roc_figure(roc(("Mass",)), per_finding(("Mass",)), TITLE).tiles
    line = tile.lines[0]
    drawn_at = line.get_transform().transform([[-0.02, -0.02], [1.02, 1.02]]) / DPI
    np.testing.assert_allclose(drawn_at, [tile.box.min, tile.box.max])


def test_confusion_prints_counts_where_they_belong():
    with house_style():
        sheet = confusion_figure(per_finding(("Mass",)), TITLE)
    (tile,) = sheet.tiles
    at = {text.get_position(): text.get_text() for text in tile.texts}
    assert [at[cell] for cell in ((0, 0), (1, 0), (0, 1), (1, 1))] == ["30", "10", "146", "1,314"]
    # The first row of counts is drawn above the second, the first column left of the other.
    places = {text.get_text(): text.get_window_extent().get_points().mean(axis=0) for text in tile.texts}
    assert places["30"][1] > places["146"][1]
    assert places["30"][0] < places["10"][0]
    assert {"present", "absent", "called", "not called"} <= set(texts(sheet.figure))
    darkness = {cell: -sum(color[:3]) for cell, color in tile.shades.items()}
    assert sorted(darkness, key=darkness.get) == [(0, 1), (1, 0), (0, 0), (1, 1)]


def test_confusion_of_a_finding_without_positives_or_without_decisions():
    table = per_finding(("Mass", "Edema"))
    table.loc[0, ["tp", "fn"]] = 0
    table.loc[1, ["tp", "fn", "fp", "tn"]] = 0
    with house_style():
        mass, edema = confusion_figure(table, TITLE).tiles
    assert mass.shades[0, 0] == mass.shades[1, 0] == edema.shades[1, 1]
    assert mass.shades[0, 1] != mass.shades[0, 0]
    assert written(mass).count("0") == 2
    assert "undecided" in written(edema)


def test_calibration_draws_every_value_and_the_mean_of_those_defined():
    table = calibration(("none", "temperature"), ("Mass", "Edema", "Hernia"))
    table["ece"] = [0.1, 0.2, np.nan, 0.01, 0.03, np.nan]
    with house_style():
        figure = calibration_figure(table, TITLE).figure
    raw, scaled = figure.axes[0].lines[:2]
    np.testing.assert_allclose(raw.get_xdata(), [0.1, 0.2, np.nan, 0.15])
    np.testing.assert_allclose(scaled.get_xdata(), [0.01, 0.03, np.nan, 0.02])
    assert raw.get_transform() == figure.axes[0].transData
    assert raw.get_color() != scaled.get_color()
    assert texts(figure.axes[0]).count("undefined") == 1
    assert "undefined" not in texts(figure.axes[1])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["none", "temperature"]


def test_examples_tell_right_calls_false_calls_and_misses_apart():
    with house_style():
        figure = examples_figure([example()], TITLE).figure
    colors = {text.get_text(): text.get_color() for text in figure.texts}
    right, false = colors["called: Mass 0.910 ≥ 0.500"], colors["false: Edema 0.420 ≥ 0.400"]
    missed = colors["missed: Pleural Thickening 0.100 < 0.300"]
    assert len({right, false, missed}) == 3
    assert "truth: Mass, Pleural Thickening" in colors


def test_an_image_without_finding_or_calls():
    with house_style():
        shown = texts(examples_figure([example(truth=(), called=(), missed=())], TITLE).figure)
    assert {"truth: No Finding", "nothing called"} <= set(shown)


def test_an_example_without_thresholds_shows_probabilities():
    with house_style():
        shown = texts(examples_figure([example(called=(("Mass", 0.5, np.nan),))], TITLE).figure)
    assert "called: Mass 0.500" in shown


def test_many_calls_are_cut_and_counted():
    called = tuple((finding, 0.9, 0.5) for finding in NIH_FINDINGS)
    with house_style():
        shown = texts(examples_figure([example(called=called, missed=())], TITLE).figure)
    calls = sum(text.startswith(("called:", "false:")) for text in shown)
    assert f"… and {len(called) - calls} more" in shown


def test_at_most_eight_examples_are_drawn():
    with house_style():
        figure = examples_figure([example()] * 11, TITLE).figure
    assert len(figure.images) == MOST == 8


def test_an_example_is_drawn_as_it_is_in_the_middle_of_its_square(tmp_path):
    pixels = np.zeros((100, 200), np.uint8)
    pixels[:50] = 200
    with house_style():
        sheet = examples_figure([example(pixels=pixels)], TITLE)
        sheet.save(tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as image:
        grey = np.asarray(image.convert("L")).astype(int)
    # Twice as wide as high, the bright half above.
    (image,) = sheet.figure.images
    height, width = image.get_array().shape
    assert width == 2 * height
    left, bottom = image.ox, grey.shape[0] - image.oy
    assert (grey[bottom - height + 5 : bottom - height // 2 - 5, left + 5 : left + width - 5] == 200).all()
    assert (grey[bottom - height // 2 + 5 : bottom - 5, left + 5 : left + width - 5] == 0).all()


def test_image_ids_are_shown_as_they_are_and_start_no_formula(tmp_path):
    draw(tmp_path, examples=[example(image_id=ODD_ID)])
    with house_style():
        figure = examples_figure([example(image_id=ODD_ID)], TITLE).figure
    assert "$\\frac_x^$ <b>&amp; 胸_1 .png" in texts(figure)
    assert not any(text.get_parse_math() for text in figure.texts)


def test_texts_stay_on_the_sheet_and_apart():
    long_title = "phantom-densenet_fpn-" + "weighted_bce-" * 12
    truth = NIH_FINDINGS[:6]
    examples = [example(image_id="1.2.840." * 12, truth=truth), example(), example(truth=()), example()] * 2
    with house_style():
        sheets = [
            training_figure(epochs(3), long_title),
            roc_figure(
                roc(("A_very_long_name_of_a_finding_of_another_data_set",)),
                per_finding(("Mass",)),
                long_title,
            ),
            roc_figure(roc(), per_finding(), long_title),
            confusion_figure(per_finding(), long_title),
            calibration_figure(calibration(CALIBRATORS), long_title),
            examples_figure(examples, long_title),
        ]
        for sheet in sheets:
            sheet.figure.draw_without_rendering()
            whole = sheet.figure.get_tightbbox()
            assert whole.x0 >= 0
            assert whole.y0 >= 0
            assert whole.x1 <= sheet.figure.get_figwidth()
            assert whole.y1 <= sheet.figure.get_figheight()
            boxes = [text.get_window_extent() for text in drawn(sheet.figure)]
            for index, box in enumerate(boxes):
                # A pixel of shared line spacing is not an overlap.
                assert not any(box.padded(-2).overlaps(other.padded(-2)) for other in boxes[index + 1 :])


def drawn(figure) -> list[matplotlib.text.Text]:
    """Every text that is drawn: Matplotlib also keeps labels of ticks outside the limits."""
    out_of_view = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            out_of_view |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    found = figure.findobj(matplotlib.text.Text)
    return [t for t in found if t.get_text().strip() and t.get_visible() and t not in out_of_view]


@given(st.text(max_size=60), st.integers(3, 40))
def test_shortened_keeps_both_ends(text, longest):
    short = shortened(text, longest)
    if len(text) <= longest:
        assert short == text
    else:
        ends = [(short[:at], short[at + 1 :]) for at, character in enumerate(short) if character == "…"]
        assert len(short) == longest
        assert any(text.startswith(head) and text.endswith(tail) and head and tail for head, tail in ends)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 23))
def test_a_panel_for_each_finding_inside_the_sheet(count):
    findings = [f"finding_{index}" for index in range(count)]
    with house_style():
        sheet = confusion_figure(per_finding(findings), TITLE)
    assert [tile.title for tile in sheet.tiles] == [name.replace("_", " ") for name in findings]
    width, height = sheet.figure.get_size_inches()
    boxes = [tile.box for tile in sheet.tiles]
    assert all(b.x0 >= 0 and b.x1 <= width and b.y0 >= 0 and b.y1 <= height for b in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


# Curves and groups


@pytest.mark.parametrize("figure", [pr_figure, reliability_figure, decision_figure])
def test_curves_are_drawn_for_each_finding_that_has_them(figure):
    with house_style():
        sheet = figure(evaluated()[0], TITLE)
    assert len(sheet.tiles) == 14
    undefined = [tile.title for tile in sheet.tiles if any(t.get_text() == "undefined" for t in tile.texts)]
    assert undefined == ([] if figure is reliability_figure else [NIH_FINDINGS[1].replace("_", " ")])


def test_the_operating_point_stands_at_its_share_of_the_highest_probability_with_its_interval():
    found, table = evaluated()[0], per_finding()
    with house_style():
        sheet = threshold_figure(found, table, TITLE)
    tile, top = sheet.tiles[5], found["findings"][5]["thresholds"]["threshold"][-1]
    (at,) = [line for line in tile.lines if len(line.get_xdata()) == 2]
    assert at.get_xdata() == pytest.approx([0.35 / top] * 2)
    (band,) = tile.bands
    assert set(band.get_xy()[:, 0]) == {0.3 / top, 0.45 / top}


def test_reliability_leaves_out_bins_of_next_to_no_image_and_shows_raw_beside_calibrated():
    found = evaluated()[0]
    with house_style():
        sheet = reliability_figure(found, TITLE)
    diagram = found["findings"][13]["reliability"]
    filled = [count for count in diagram["count"] if count >= 5]
    assert len(filled) > 0
    assert len([line for line in sheet.tiles[13].lines if line.get_marker() == "o"]) == len(filled)
    assert {"after platt", "raw"} <= set(texts(sheet.figure))


def test_groups_are_named_with_their_size_and_what_is_withheld_is_not_drawn():
    groups = evaluated()[1]
    groups = groups[groups["finding"].isna()]
    with house_style():
        sheet = subgroups_figure(groups, 14, TITLE)
    assert any(text.startswith("sex F  (200 images, ") for text in texts(sheet.figure))
    nothing = groups.assign(
        **dict.fromkeys([c for c in groups if c.startswith(("auc", "tpr", "fpr"))], np.nan)
    )
    with house_style():
        assert texts(subgroups_figure(nothing, 14, TITLE).figure).count("withheld") == 4
