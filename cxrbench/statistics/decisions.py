"""How good decisions are: confusion matrices of each class and what follows from them.

A function of a :class:`Confusion` works elementwise: counts of any shape, such as ``[c, b]`` for ``b``
resamples, give figures of that shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.sweep import sweep_grid
from cxrbench.statistics.undefined import mean_defined, ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cxrbench.interfaces import FloatArray

    IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Confusion:
    """The 2×2 confusion matrix of each class.

    Attributes:
        tp: int64 ``[c]``, positives called positive.
        fp: int64 ``[c]``, negatives called positive.
        tn: int64 ``[c]``, negatives called negative.
        fn: int64 ``[c]``, positives called negative.
    """

    tp: IntArray
    fp: IntArray
    tn: IntArray
    fn: IntArray

    def pooled(self) -> Confusion:
        """All classes added up, as one class ``[1]``: what micro averages are computed from."""
        return Confusion(*(counts.sum(keepdims=True) for counts in (self.tp, self.fp, self.tn, self.fn)))


def confusion(decisions: NDArray[Any], labels: NDArray[Any]) -> Confusion:
    """Count decisions ``[n, c]`` (1, 0, NaN undecided) against labels ``[n, c]`` (1, 0, NaN unknown).

    A cell that is undecided or unknown is left out.
    """
    called, spared = decisions == 1, decisions == 0
    positive, negative = labels == 1, labels == 0
    return Confusion(
        tp=(called & positive).sum(axis=0),
        fp=(called & negative).sum(axis=0),
        tn=(spared & negative).sum(axis=0),
        fn=(spared & positive).sum(axis=0),
    )


def precision(counts: Confusion) -> FloatArray:
    """``tp / (tp + fp)`` ``[c]``, NaN where nothing is called positive."""
    return ratio(counts.tp, counts.tp + counts.fp)


def recall(counts: Confusion) -> FloatArray:
    """Sensitivity, ``tp / (tp + fn)`` ``[c]``, NaN where there is no positive."""
    return ratio(counts.tp, counts.tp + counts.fn)


def specificity(counts: Confusion) -> FloatArray:
    """``tn / (tn + fp)`` ``[c]``, NaN where there is no negative."""
    return ratio(counts.tn, counts.tn + counts.fp)


def f1(counts: Confusion) -> FloatArray:
    """``2 tp / (2 tp + fp + fn)`` ``[c]``, NaN where there is no positive, 0 where none of them is called."""
    positives = counts.tp + counts.fn
    return ratio(2 * counts.tp, np.where(positives > 0, counts.tp + counts.fp + positives, 0))


def f_beta(counts: Confusion, beta: float) -> FloatArray:
    """``(1 + β²) tp / ((1 + β²) tp + β² fn + fp)`` ``[c]``: F1 where recall counts β times as much.

    Undefined and 0 where :func:`f1` is. Van Rijsbergen, "Information Retrieval", 1979.
    """
    square = beta**2
    called = (1 + square) * counts.tp + square * counts.fn + counts.fp
    return ratio((1 + square) * counts.tp, np.where(counts.tp + counts.fn > 0, called, 0))


def accuracy(counts: Confusion) -> FloatArray:
    """``(tp + tn) / (tp + fp + tn + fn)`` ``[c]``, NaN where nothing was counted."""
    return ratio(counts.tp + counts.tn, counts.tp + counts.fp + counts.tn + counts.fn)


def balanced_accuracy(counts: Confusion) -> FloatArray:
    """Mean of sensitivity and specificity ``[c]``, NaN where there is no positive or no negative.

    It is the AUC of the decisions themselves (0 and 1 taken for scores), which some papers report as the
    AUC of a binarised prediction.
    """
    return (recall(counts) + specificity(counts)) / 2


def mcc(counts: Confusion) -> FloatArray:
    """Matthews correlation coefficient ``[c]``: the correlation of decisions and labels.

    ``(tp tn - fp fn) / sqrt((tp + fp) (tp + fn) (tn + fp) (tn + fn))``; NaN where there is no positive or no
    negative, 0 where all decisions are the same (the limit, as in scikit-learn). Matthews 1975.
    """
    tp, fp, tn, fn = (np.asarray(x, np.float64) for x in (counts.tp, counts.fp, counts.tn, counts.fn))
    labelled = np.sqrt(tp + fn) * np.sqrt(tn + fp)
    # Decisions that are all the same leave a covariance of 0, over whatever is not 0.
    called = np.maximum(np.sqrt(tp + fp) * np.sqrt(tn + fn), 1)
    return ratio(tp * tn - fp * fn, labelled * called)


def cohen_kappa(counts: Confusion) -> FloatArray:
    """Cohen's kappa ``[c]``: agreement of decisions and labels beyond chance.

    ``2 (tp tn - fp fn) / ((tp + fp) (fp + tn) + (tp + fn) (fn + tn))``: 1 where they agree everywhere, 0
    where as often as calls and labels that know nothing of each other. NaN where there is no positive or no
    negative. Cohen, "A Coefficient of Agreement for Nominal Scales", 1960.
    """
    tp, fp, tn, fn = (np.asarray(x, np.float64) for x in (counts.tp, counts.fp, counts.tn, counts.fn))
    both = (tp + fn > 0) & (fp + tn > 0)
    by_chance = (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn)
    return ratio(2 * (tp * tn - fp * fn), np.where(both, by_chance, 0))


def net_benefit(counts: Confusion, threshold: float | FloatArray) -> FloatArray:
    """Net benefit ``[c]`` of decisions: true positives an image, less false positives at the going rate.

    ``tp / n - fp / n × t / (1 - t)``: whoever calls at probability ``t`` holds one true positive to be worth
    ``(1 - t) / t`` false ones. Calling nothing has net benefit 0. Vickers and Elkin, "Decision Curve
    Analysis", 2006.

    Args:
        counts: of decisions.
        threshold: threshold probability, 0 <= t < 1; one, or an array that broadcasts with the counts.

    Returns:
        float64 ``[c]``; NaN where nothing was counted.
    """
    odds = np.asarray(threshold, np.float64) / (1 - np.asarray(threshold, np.float64))
    return ratio(counts.tp - counts.fp * odds, counts.tp + counts.fp + counts.tn + counts.fn)


def decision_curve(
    probabilities: NDArray[Any], labels: NDArray[Any], thresholds: NDArray[Any]
) -> tuple[FloatArray, FloatArray]:
    """Net benefit over threshold probabilities: of calling at each of them, and of calling every image.

    Args:
        probabilities: ``[n, c]`` in 0..1.
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        thresholds: ``[k]``, ascending, 0 <= t < 1.

    Returns:
        Two float64 arrays ``[k, c]``: of ``probability >= threshold``, and of calling all; that of calling
        none is 0. NaN where a class has no known label.

    Raises:
        ValueError: the thresholds are not ascending.
    """
    swept = sweep_grid(probabilities, labels, thresholds)
    at = np.asarray(thresholds, np.float64)[:, None]
    called = Confusion(swept.tp, swept.fp, swept.negatives - swept.fp, swept.positives - swept.tp)
    nothing = np.zeros_like(swept.positives)
    everything = Confusion(swept.positives, swept.negatives, nothing, nothing)
    return net_benefit(called, at), net_benefit(everything, at)


def exact_match(decisions: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of images with every class decided right (subset accuracy): the mean of :func:`exact_matches`."""
    return mean_defined(exact_matches(decisions, labels))


def exact_matches(decisions: NDArray[Any], labels: NDArray[Any]) -> FloatArray:
    """Whether every class of an image is decided right.

    Over the classes that have a decision, and the images that :func:`whole_images` counts.

    Args:
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        float64 ``[n]``, 1 or 0; NaN for images that do not count, and for all where no class has decisions.
    """
    decided, whole = _whole(decisions, labels)
    right = (decisions == labels)[:, decided].all(axis=1)
    return np.where(whole & decided.any(), right, np.nan)


def whole_images(decisions: NDArray[Any], labels: NDArray[Any]) -> int:
    """How many images have a known label and a decision for every class that has decisions at all."""
    decided, whole = _whole(decisions, labels)
    return int(whole.sum()) if decided.any() else 0


def false_no_finding_rate(
    decisions: NDArray[Any], labels: NDArray[Any], no_finding: int | None = None
) -> float:
    """FNFR: share of the images with a finding that are passed as having none, see :func:`passed_as_healthy`.

    What Seyyed-Kalantari et al., "Underdiagnosis Bias of Artificial Intelligence Algorithms Applied to Chest
    Radiographs in Under-served Patient Populations", 2021, call the underdiagnosis rate. NaN where no image
    with a finding is left.
    """
    return mean_defined(passed_as_healthy(decisions, labels, no_finding))


def passed_as_healthy(
    decisions: NDArray[Any], labels: NDArray[Any], no_finding: int | None = None
) -> FloatArray:
    """Whether an image with a finding is passed as having none.

    Args:
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        labels: ``[n, c]``, 1, 0 or NaN (unknown).
        no_finding: the column of a class "No Finding", where the task has one: of the images whose label
            there is 0, those for which it is called. None: of the images with a label 1 in a class that has
            decisions, those for which no class is called. An image for which none is called while one is
            undecided is left out.

    Returns:
        float64 ``[n]``, 1 or 0; NaN for images that do not count.
    """
    if no_finding is not None:
        called = decisions[:, no_finding]
        return np.where((labels[:, no_finding] == 0) & ~np.isnan(called), called == 1, np.nan)
    decided = ~np.isnan(decisions).all(axis=0)
    any_called = (decisions == 1).any(axis=1)
    certain = any_called | ~np.isnan(decisions[:, decided]).any(axis=1)
    ill = (labels[:, decided] == 1).any(axis=1) & certain
    return np.where(ill, ~any_called, np.nan)


def hamming_loss(decisions: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of decisions that are wrong, over all cells that are decided and known.

    Args:
        decisions: ``[n, c]``, 1, 0 or NaN (undecided).
        labels: ``[n, c]``, 1, 0 or NaN (unknown).

    Returns:
        NaN where no cell is left.
    """
    return 1.0 - float(accuracy(confusion(decisions, labels).pooled())[0])


def _whole(decisions: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which classes ``[c]`` have decisions, and which images ``[n]`` are known and decided on all of them."""
    decided = ~np.isnan(decisions).all(axis=0)
    whole = ~(np.isnan(decisions) | np.isnan(labels))[:, decided].any(axis=1)
    return decided, whole
