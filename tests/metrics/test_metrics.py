"""Built-in metrics against scikit-learn and hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import fbeta_score, log_loss

from cxrbench.metrics.expected_cost import ExpectedCost
from cxrbench.metrics.f_beta import FBeta
from cxrbench.metrics.log_loss import LogLoss


def made_up(rows: int = 300, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    labels = (rng.random((rows, classes)) < 0.3).astype(np.float64)
    probabilities = np.clip(0.3 * labels + 0.6 * rng.random(labels.shape), 0, 1)
    return labels, probabilities, (probabilities >= 0.45).astype(np.float64)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_f_beta_is_scikit_learns(beta: float) -> None:
    labels, probabilities, decisions = made_up()
    expected = fbeta_score(labels, decisions, beta=beta, average="macro")
    assert FBeta(beta=beta).value(labels, probabilities, decisions) == pytest.approx(expected)


def test_f_beta_leaves_out_findings_without_positives_and_cells_without_label_or_decision() -> None:
    labels, probabilities, decisions = made_up()
    labels[:, 0] = 0
    labels[:50, 1], decisions[50:80, 1] = np.nan, np.nan
    expected = [
        fbeta_score(labels[80:, 1], decisions[80:, 1], beta=2),
        *(fbeta_score(labels[:, k], decisions[:, k], beta=2) for k in (2, 3)),
    ]
    assert FBeta().value(labels, probabilities, decisions) == pytest.approx(np.mean(expected))


def test_expected_cost_by_hand() -> None:
    labels = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, np.nan]])
    decisions = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    # First: one missed and one false of 4; second: two false of 3.
    expected = ((5 + 1) / 4 + 2 / 3) / 2
    assert ExpectedCost(fn=5.0).value(labels, labels, decisions) == pytest.approx(expected)


def test_log_loss_is_scikit_learns() -> None:
    labels, probabilities, decisions = made_up()
    labels[:40, 2] = np.nan
    expected = [log_loss(labels[:, k], probabilities[:, k]) for k in (0, 1, 3)]
    expected.append(log_loss(labels[40:, 2], probabilities[40:, 2]))
    assert LogLoss().value(labels, probabilities, decisions) == pytest.approx(np.mean(expected), rel=1e-5)


def test_one_certain_mistake_does_not_make_all_infinite() -> None:
    labels = np.array([[1.0], [0.0]])
    assert math.isfinite(LogLoss().value(labels, np.array([[0.0], [0.0]]), labels))
