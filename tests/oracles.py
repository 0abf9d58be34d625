"""Scikit-learn's figures at many thresholds: one call each, since a call costs more than what it counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import f1_score, precision_score


def f1_at(thresholds: Sequence[float], labels: Any, scores: Any) -> list[float]:
    """F1 of calling every score that reaches a threshold, for each of them."""
    return _at(f1_score, thresholds, labels, scores)


def precision_at(thresholds: Sequence[float], labels: Any, scores: Any) -> list[float]:
    """Precision, likewise; 0 where nothing is called."""
    return _at(precision_score, thresholds, labels, scores)


def _at(figure: Callable[..., Any], thresholds: Sequence[float], labels: Any, scores: Any) -> list[float]:
    # One column a threshold, as if each were a label; a single column would not be taken for labels.
    columns = np.append(np.asarray(thresholds, float), np.inf)
    called = np.asarray(scores, float)[:, None] >= columns
    truth = np.repeat(np.asarray(labels)[:, None] == 1, len(columns), axis=1)
    found = figure(truth, called, average=None, zero_division=0)
    return [float(value) for value in found[:-1]]
