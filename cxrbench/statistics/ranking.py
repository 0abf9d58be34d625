"""How well scores rank: AUC, whole and partial; average precision; ROC and PR curves; rankings of labels.

Of a single-label task, figures of ``[n, c]`` are those of each class against the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.sweep import Sweep, sweep_scores
from cxrbench.statistics.undefined import mean_defined, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray


def auc(scores: NDArray[Any], labels: NDArray[Any], *, swept: Sweep | None = None) -> FloatArray:
    """Area under the ROC curve of each class.

    The probability that a positive scores higher than a negative, ties counted half (Mann-Whitney U).
    It is computed in whole numbers and divided once.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        swept: their sweep, if it is at hand.

    Returns:
        float64 ``[c]``; NaN where a class has no positive or no negative.
    """
    swept = swept or sweep_scores(scores, labels)
    tp_step, fp_step = np.diff(swept.tp, axis=0), np.diff(swept.fp, axis=0)
    doubled_area = (-fp_step * (2 * swept.tp[:-1] + tp_step)).sum(axis=0)
    return ratio(doubled_area, 2 * swept.positives * swept.negatives)


def average_precision(
    scores: NDArray[Any], labels: NDArray[Any], *, swept: Sweep | None = None
) -> FloatArray:
    """Average precision of each class: precision at every distinct score, weighted by the recall gained.

    The sum that scikit-learn computes, without interpolation.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        swept: their sweep, if it is at hand.

    Returns:
        float64 ``[c]``; NaN where a class has no positive.
    """
    swept = swept or sweep_scores(scores, labels)
    gained = -np.diff(swept.tp, axis=0)
    called = swept.tp[:-1] + swept.fp[:-1]
    return ratio((gained * swept.tp[:-1] / np.maximum(called, 1)).sum(axis=0), swept.positives)


def partial_auc(
    scores: NDArray[Any], labels: NDArray[Any], max_fpr: float, *, swept: Sweep | None = None
) -> FloatArray:
    """Standardised area under the ROC curve up to a false positive rate, of each class.

    The area ``A`` between 0 and ``max_fpr`` (the curve is straight between its points) is put on the scale
    of the AUC, 0.5 for chance and 1 for perfect: ``(1 + (A - low) / (high - low)) / 2`` with
    ``low = max_fpr² / 2`` and ``high = max_fpr``. McClish, "Analyzing a Portion of the ROC Curve", 1989.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        max_fpr: above 0, at most 1.
        swept: their sweep, if it is at hand.

    Returns:
        float64 ``[c]``; NaN where a class has no positive or no negative.

    Raises:
        ValueError: ``max_fpr`` is not in (0, 1].
    """
    if not 0 < max_fpr <= 1:
        raise ValueError("max_fpr must be above 0 and at most 1")
    swept = swept or sweep_scores(scores, labels)
    fpr, tpr = ratio(swept.fp, swept.negatives), ratio(swept.tp, swept.positives)
    # Rows ascend in the threshold, so a step goes from the point after to the point before.
    left, right = np.minimum(fpr[1:], max_fpr), np.minimum(fpr[:-1], max_fpr)
    slope = np.divide(
        tpr[:-1] - tpr[1:], fpr[:-1] - fpr[1:], out=np.zeros_like(left), where=fpr[:-1] != fpr[1:]
    )
    height = tpr[1:] + slope * ((left + right) / 2 - fpr[1:])
    # A step that lies beyond max_fpr has no width.
    area: FloatArray = ((right - left) * height).sum(axis=0)
    low, high = max_fpr**2 / 2, max_fpr
    return (1 + (area - low) / (high - low)) / 2


def sensitivity_at_specificity(
    scores: NDArray[Any], labels: NDArray[Any], specificity: float, *, swept: Sweep | None = None
) -> FloatArray:
    """The highest sensitivity of each class among thresholds with at least this specificity.

    Thresholds are the observed scores and one above them all; nothing is interpolated, so each figure is
    one that a threshold reaches.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        specificity: the least that is accepted, 0..1.
        swept: their sweep, if it is at hand.

    Returns:
        float64 ``[c]``; NaN where a class has no positive or no negative.
    """
    swept = swept or sweep_scores(scores, labels)
    reached = ratio(swept.negatives - swept.fp, swept.negatives) >= specificity
    best = np.where(reached, swept.tp, 0).max(axis=0)
    return ratio(best, np.where(swept.negatives > 0, swept.positives, 0))


def specificity_at_sensitivity(scores: NDArray[Any], labels: NDArray[Any], sensitivity: float) -> FloatArray:
    """The highest specificity of each class among thresholds with at least this sensitivity.

    As :func:`sensitivity_at_specificity`.

    Args:
        scores: ``[n, c]``, larger means more likely positive.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        sensitivity: the least that is accepted, 0..1.

    Returns:
        float64 ``[c]``; NaN where a class has no positive or no negative.
    """
    swept = sweep_scores(scores, labels)
    reached = ratio(swept.tp, swept.positives) >= sensitivity
    best = np.where(reached, swept.negatives - swept.fp, 0).max(axis=0)
    return ratio(best, np.where(swept.positives > 0, swept.negatives, 0))


def roc_curve(scores: NDArray[Any], labels: NDArray[Any]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """ROC curve of one class: false positive rate, true positive rate and threshold of each point.

    Args:
        scores: ``[n]``, larger means more likely positive.
        labels: ``[n]``, 1, 0 or NaN (unknown).

    Returns:
        Three float64 arrays ``[m]``: the point (0, 0) with threshold inf, then one point for each
        distinct score, descending. A rate is NaN where the class has no negative or no positive.
    """
    swept = sweep_scores(scores[:, None], labels[:, None])
    thresholds, rows = np.unique(swept.thresholds[:, 0], return_index=True)
    fpr = ratio(swept.fp[rows, 0], swept.negatives)
    tpr = ratio(swept.tp[rows, 0], swept.positives)
    return fpr[::-1], tpr[::-1], thresholds[::-1]


def precision_recall_curve(
    scores: NDArray[Any], labels: NDArray[Any]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Precision-recall curve of one class: precision, recall and threshold of each point.

    In the order of :func:`roc_curve`. :func:`average_precision` is the sum of each point's precision times
    the recall that it gains over the point before; a straight line between two points is not on the curve.

    Args:
        scores: ``[n]``, larger means more likely positive.
        labels: ``[n]``, 1, 0 or NaN (unknown).

    Returns:
        Three float64 arrays ``[m]``: precision 1 and recall 0 with threshold inf (nothing is called, and by
        convention nothing wrongly), then one point for each distinct score, descending. Recall is NaN where
        the class has no positive.
    """
    swept = sweep_scores(scores[:, None], labels[:, None])
    thresholds, rows = np.unique(swept.thresholds[:, 0], return_index=True)
    precision = swept.precision[rows, 0]
    precision[-1] = 1.0
    recall = ratio(swept.tp[rows, 0], swept.positives)
    return precision[::-1], recall[::-1], thresholds[::-1]


def label_ranking_average_precision(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean of :func:`label_ranking_precisions` over images; NaN where none is defined."""
    return mean_defined(label_ranking_precisions(scores, labels))


def label_ranking_precisions(scores: NDArray[Any], labels: NDArray[Any]) -> FloatArray:
    """Label-ranking average precision of each image.

    For each positive label of an image: of the labels that score at least as high, the share that is
    positive; averaged over the image's positive labels. As in scikit-learn, an image without any positive
    has 1.0, so a set with many such images scores high whatever the ranking.

    Source: Tsoumakas, Katakis and Vlahavas, "Mining Multi-label Data", 2010.

    Args:
        scores: ``[n, c]``, comparable between classes.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        float64 ``[n]``; NaN for an image with an unknown label, and for all where one of the others has a
        score that is not finite.
    """
    whole, scores, positive = _whole_images(scores, labels)
    total = np.zeros(len(scores))
    # One class at a time keeps the memory at [n, c].
    for column in range(scores.shape[1]):
        at_least = scores >= scores[:, [column]]
        share = (at_least & positive).sum(axis=1) / np.maximum(at_least.sum(axis=1), 1)
        total += np.where(positive[:, column], share, 0.0)
    count = positive.sum(axis=1)
    return _spread(whole, np.where(count > 0, total / np.maximum(count, 1), 1.0))


def coverage_error(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Mean of :func:`coverages` over images; NaN where none is defined."""
    return mean_defined(coverages(scores, labels))


def coverages(scores: NDArray[Any], labels: NDArray[Any]) -> FloatArray:
    """How far one must go down each image's ranked labels to find all its positive ones.

    The number of labels that score at least as high as the image's lowest positive one; 0 where it has none,
    as in scikit-learn.

    Source: Tsoumakas, Katakis and Vlahavas, "Mining Multi-label Data", 2010.

    Args:
        scores: ``[n, c]``, comparable between classes.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        float64 ``[n]``, NaN as in :func:`label_ranking_precisions`.
    """
    whole, scores, positive = _whole_images(scores, labels)
    lowest = np.where(positive, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    return _spread(whole, (scores >= lowest).sum(axis=1))


def label_ranking_loss(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of pairs of a positive and a negative label that an image ranks wrongly, averaged over images.

    A tie is wrong; an image without such a pair counts 0, both as in scikit-learn. Images with an unknown
    label are left out.

    Source: Tsoumakas, Katakis and Vlahavas, "Mining Multi-label Data", 2010.

    Args:
        scores: ``[n, c]``, comparable between classes.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        NaN where no image is left or where one that is left has a score that is not finite.
    """
    whole, scores, positive = _whole_images(scores, labels)
    wrong = np.zeros(len(scores))
    # One class at a time keeps the memory at [n, c].
    for column in range(scores.shape[1]):
        above = ((scores >= scores[:, [column]]) & ~positive).sum(axis=1)
        wrong += np.where(positive[:, column], above, 0)
    pairs = positive.sum(axis=1) * (~positive).sum(axis=1)
    return mean_defined(_spread(whole, wrong / np.maximum(pairs, 1)))


def _whole_images(
    scores: NDArray[Any], labels: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[Any], NDArray[np.bool_]]:
    """Which images ``[n]`` have no unknown label, and their scores and positives.

    None of them where one that has none has a score that is not finite.
    """
    whole = ~np.isnan(labels).any(axis=1)
    if not np.isfinite(scores[whole]).all():
        whole = np.zeros_like(whole)
    return whole, scores[whole], labels[whole] == 1


def _spread(whole: NDArray[np.bool_], values: NDArray[Any]) -> FloatArray:
    """The values at their images ``[n]``, NaN at the others."""
    spread: FloatArray = np.full(len(whole), np.nan)
    spread[whole] = values
    return spread
