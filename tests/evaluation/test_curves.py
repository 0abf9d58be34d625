import numpy as np
import pytest
from evaluating import TASK, draw
from sklearn import metrics

from cxrbench.canonical import canonical_json
from cxrbench.evaluation.curves import DIGITS, POINTS, curves
from cxrbench.evaluation.optimism import optimism
from cxrbench.evaluation.pairs import confusion_table, cooccurrence_table


@pytest.fixture(scope="module")
def drawn():
    labels, logits, _ = draw(0, n=2000)
    probabilities = TASK.probabilities(logits)
    return labels, probabilities, curves(TASK, labels, probabilities, "platt", TASK.probabilities(logits * 2))


def test_curves_have_few_rounded_points_of_the_whole_curve(drawn):
    labels, probabilities, found = drawn
    for column, finding in enumerate(found["findings"]):
        fpr, tpr, _ = metrics.roc_curve(labels[:, column], probabilities[:, column], drop_intermediate=False)
        whole = set(zip(fpr.round(DIGITS), tpr.round(DIGITS), strict=True))
        roc = finding["roc"]
        assert 32 < len(roc["fpr"]) <= POINTS
        assert set(zip(roc["fpr"], roc["tpr"], strict=True)) <= whole
        assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
        # Few points lose next to nothing of the area.
        auc = metrics.roc_auc_score(labels[:, column], probabilities[:, column])
        assert np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(auc, abs=0.004)
        precision, recall, _ = metrics.precision_recall_curve(labels[:, column], probabilities[:, column])
        whole = set(zip(recall.round(DIGITS), precision.round(DIGITS), strict=True))
        assert set(zip(finding["pr"]["recall"], finding["pr"]["precision"], strict=True)) <= whole
        for curve in ("roc", "pr", "thresholds", "decision", "reliability"):
            for values in finding[curve].values():
                assert len(values) <= POINTS
                assert all(round(value, DIGITS) == value for value in values if np.isfinite(value))


def test_threshold_and_decision_curves_are_those_of_calling_at_each_threshold(drawn):
    labels, probabilities, found = drawn
    curve, decision = found["findings"][1]["thresholds"], found["findings"][1]["decision"]
    prevalence = labels[:, 1].mean()
    for place in range(0, POINTS - 1, 7):
        at = np.linspace(0, min(probabilities[:, 1].max(), 0.99), POINTS)[place]
        called, truth = probabilities[:, 1] >= at, labels[:, 1]
        assert curve["threshold"][place] == pytest.approx(at, abs=1e-4)
        assert curve["precision"][place] == pytest.approx(metrics.precision_score(truth, called), abs=1e-4)
        assert curve["recall"][place] == pytest.approx(metrics.recall_score(truth, called), abs=1e-4)
        assert curve["f1"][place] == pytest.approx(metrics.f1_score(truth, called), abs=1e-4)
        odds = at / (1 - at)
        benefit = (called & (truth == 1)).mean() - (called & (truth == 0)).mean() * odds
        assert decision["net_benefit"][place] == pytest.approx(benefit, abs=1e-4)
        assert decision["of_calling_all"][place] == pytest.approx(
            prevalence - (1 - prevalence) * odds, abs=1e-4
        )


def test_reliability_has_the_bins_that_hold_images_raw_beside_calibrated(drawn):
    labels, probabilities, found = drawn
    for finding in found["findings"]:
        for kind in ("reliability", "reliability_raw"):
            diagram = finding[kind]
            assert sum(diagram["count"]) == len(labels)
            assert all(
                low <= rate <= high
                for low, rate, high in zip(diagram["low"], diagram["rate"], diagram["high"], strict=True)
            )
    column = probabilities[:, 0]
    inside = (column > 1 / 15) & (column <= 2 / 15)
    first = found["findings"][0]["reliability"]
    place = first["count"].index(int(inside.sum()))
    assert first["probability"][place] == pytest.approx(column[inside].mean(), abs=1e-4)
    assert first["rate"][place] == pytest.approx(labels[inside, 0].mean(), abs=1e-4)


def test_a_finding_of_one_class_has_no_curve_and_all_of_it_is_small():
    labels, logits, _ = draw(1, n=5000)
    labels[:, 2] = 0
    found = curves(TASK, labels, TASK.probabilities(logits))
    assert found["findings"][2]["roc"] is found["findings"][2]["decision"] is None
    assert found["findings"][2]["reliability"]["count"]
    assert len(canonical_json(found)) < 8_000 * len(TASK.classes)


def test_optimism_is_tune_less_test_over_the_findings_that_both_have():
    def part(seed, shift):
        labels, logits, _ = draw(seed, n=800)
        probabilities = TASK.probabilities(logits + shift * labels)
        return {
            "labels": labels,
            "probabilities": probabilities,
            "decisions": TASK.decide(probabilities, np.full(5, 0.4)),
        }

    tune, test = part(0, 1.0), part(1, 0.0)
    test["labels"][:, 4] = 0
    found = optimism(TASK, tune, test)
    of_tune = [metrics.f1_score(tune["labels"][:, c], tune["decisions"][:, c]) for c in range(4)]
    of_test = [metrics.f1_score(test["labels"][:, c], test["decisions"][:, c]) for c in range(4)]
    assert found["tune"]["f1"] == pytest.approx(np.mean(of_tune))
    assert found["optimism"]["f1"] == pytest.approx(np.mean(of_tune) - np.mean(of_test))
    assert found["optimism"]["auc"] > 0.1
    assert [row["f1_test"] for row in found["per_finding"]][:4] == pytest.approx(of_test)


def test_pairs_are_counted_over_images(drawn):
    labels, probabilities, _ = drawn
    decisions = TASK.decide(probabilities, np.full(5, 0.4))
    pair = cooccurrence_table(TASK, labels, decisions).set_index(["finding", "other"]).loc[("A", "C")]
    both = (labels[:, 0] == 1) & (labels[:, 2] == 1)
    assert (pair["both"], pair["among"]) == (both.sum(), (labels[:, 0] == 1).sum())
    wrong = confusion_table(TASK, labels, decisions).set_index(["finding", "other"]).loc[("A", "C")]
    called = (decisions[:, 2] == 1) & (labels[:, 2] == 0)
    assert wrong["false_both"] == (called & (labels[:, 0] == 1)).sum()
