"""Probabilities for a population in which findings are more or less frequent than where they were calibrated.

Prior (label) shift: how often a finding occurs differs, what it looks like does not. By Bayes' rule its odds
then change by one factor for all images, the ratio of the prevalences' odds. So the order of images within a
finding, and AUC, stay as they are; the correction only moves probabilities and what reaches a threshold.

The new prevalence is known, or estimated from the probabilities themselves. The estimate reads no label of
the new population but all of its scores: it is transductive, an image's corrected probability depends on the
images beside it, and a figure of it says so. A network that sees other images (covariate shift) is taken for
another prevalence.

The estimate also magnifies what is off in the calibration. Where mean probability and source prevalence ``s``
differ by a small ``d``, it lies ``d s (1 - s) / var(p)`` from ``s``: the less a network tells (the less its
probabilities vary), the more. On stored predictions of a network with a macro AUC of .70 on NIH's test list,
calibrated on half of the patients, estimates for the other half were above twice the prevalence for nine of
14 findings, and the mean calibration error doubled instead of falling; with the known prevalence it fell to
an eighth. So estimate only for findings that are told well, and show it beside the known prevalence.

Source: Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
Probabilities: A Simple Procedure", 2002.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cxrbench.statistics.undefined import ratio

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from cxrbench.interfaces import FloatArray

_HALVINGS = 60
_TOLERANCE, _MOST_STEPS = 1e-9, 10_000


def with_prevalence(probabilities: NDArray[Any], source: ArrayLike, target: ArrayLike) -> FloatArray:
    """Probabilities of findings, each its own yes or no, where prevalences are others.

    Args:
        probabilities: ``[n, c]`` in 0..1, calibrated where the prevalences were ``source``.
        source: ``[c]``, above 0 and below 1, such as the prevalences on tune.
        target: ``[c]`` in 0..1, known or from :func:`estimate_prevalence`.

    Returns:
        float64 ``[n, c]``; NaN where the source prevalence is 0 or 1, or any argument NaN.
    """
    present, absent = _likelihoods(probabilities, source)
    prevalence = np.asarray(target, np.float64)
    of_present, of_absent = prevalence * present, (1 - prevalence) * absent
    return ratio(of_present, of_present + of_absent)


def estimate_prevalence(probabilities: NDArray[Any], source: ArrayLike) -> FloatArray:
    """The prevalence of each finding that makes the probabilities of a new population likeliest.

    The fixed point of Saerens' EM steps ``prevalence ← mean of with_prevalence(probabilities)``. Since the
    likelihood is concave in the prevalence, it is found by halving an interval instead: to the last digits,
    with no step count to choose, where EM creeps for rare findings.

    Args:
        probabilities: ``[n, c]`` in 0..1 of the new population, calibrated where the prevalences were
            ``source``.
        source: ``[c]``, above 0 and below 1.

    Returns:
        float64 ``[c]`` in 0..1; NaN where a probability of the finding is NaN, where there is no image, or
        where the source prevalence is 0 or 1.
    """
    present, absent = _likelihoods(probabilities, source)
    low, high = np.zeros(present.shape[1]), np.ones(present.shape[1])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rising = ((present - absent) / (middle * present + (1 - middle) * absent)).sum(axis=0) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    undefined = np.isnan(present).any(axis=0) | (len(present) == 0)
    return np.where(undefined, np.nan, (low + high) / 2)


def with_priors(probabilities: NDArray[Any], source: ArrayLike, target: ArrayLike) -> FloatArray:
    """As :func:`with_prevalence`, for classes of which an image has exactly one.

    Args:
        probabilities: ``[n, c]``, rows that add up to 1, calibrated where the shares of the classes were
            ``source``.
        source: ``[c]``, above 0, adding up to 1.
        target: ``[c]`` in 0..1, adding up to 1.

    Returns:
        float64 ``[n, c]``, rows that add up to 1; here the order of images within a class may change.
    """
    weighted = np.asarray(probabilities, np.float64) * ratio(target, source)
    return ratio(weighted, weighted.sum(axis=1, keepdims=True))


def estimate_priors(probabilities: NDArray[Any], source: ArrayLike) -> FloatArray:
    """As :func:`estimate_prevalence`, for classes of which an image has exactly one: Saerens' EM.

    Args:
        probabilities: ``[n, c]`` of the new population, rows that add up to 1, calibrated where the classes'
            shares were ``source``.
        source: ``[c]``, above 0, adding up to 1.

    Returns:
        float64 ``[c]``, adding up to 1, when no share changes by more than 1e-9 in a step (or after 10,000
        steps); NaN where there is no image or a probability is NaN.
    """
    priors = np.asarray(source, np.float64)
    if not len(probabilities):
        return np.full_like(priors, np.nan)
    for _ in range(_MOST_STEPS):
        before, priors = priors, with_priors(probabilities, source, priors).mean(axis=0)
        if not np.abs(priors - before).max() > _TOLERANCE:
            break
    return priors


def _likelihoods(probabilities: NDArray[Any], source: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Of each image, given that it has the finding and given that it has not, but for a common factor."""
    p, prevalence = np.asarray(probabilities, np.float64), np.asarray(source, np.float64)
    known = (prevalence > 0) & (prevalence < 1)
    return ratio(p, np.where(known, prevalence, 0)), ratio(1 - p, np.where(known, 1 - prevalence, 0))
